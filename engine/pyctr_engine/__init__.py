"""The engine of pyctr-tui: namespaced containers from Linux itself."""
