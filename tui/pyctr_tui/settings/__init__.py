"""The interface's settings: the table of them, the user's file, and what the program remembers itself."""
