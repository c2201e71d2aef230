"""The engine's nouns: frozen dataclasses and their own rules; no I/O."""
