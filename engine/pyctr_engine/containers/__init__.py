"""Containers: create, start, stop, remove, recover, commit."""
