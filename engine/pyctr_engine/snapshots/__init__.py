"""A container's read-write view of its image: overlay directories and what changed in them."""
