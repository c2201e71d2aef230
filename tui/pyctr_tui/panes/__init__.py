"""The home screen's panes."""
