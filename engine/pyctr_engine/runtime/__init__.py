"""Spawner, monitor, init: stdlib only, synchronous, cheap to import."""
