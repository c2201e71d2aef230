"""Images: the OCI layout, layers, archives and the built-in image."""
