"""Pictures of real sessions, and the script that takes them."""
