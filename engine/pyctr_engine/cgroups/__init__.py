"""Control groups: one interface over v2, hybrid and v1."""
