"""The tests: unit (mirrors the source), engine (the real kernel), tui (the pilot), e2e (a real terminal), bench."""
