"""The host: what it can do, what it lacks, what it uses."""
