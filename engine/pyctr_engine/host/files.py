"""Small files of /proc and /sys, which may not be there."""

from __future__ import annotations

import os


def read(path: str) -> str:
    """The text of a small file without its last newline; empty when it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def nearest(path: str) -> str:
    """``path``, or the nearest directory above it that exists."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return path
