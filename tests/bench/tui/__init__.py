"""How the interface feels, measured on a real pseudo-terminal: ``python -m tests.bench.tui``."""
