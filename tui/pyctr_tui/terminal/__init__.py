"""The terminal itself: what it can show, the driver, and who cleans up after us."""
