"""Reading container logs: by offset, off the interface's thread, in bounded memory."""
