"""Pictures that were looked at, kept as SVG in ``snapshots/``; a test fails when the screen differs from its picture.

``PYCTR_SNAPSHOTS=update pytest tests/tui`` writes them anew: look at them before committing.
"""

from __future__ import annotations

import difflib
import os
import re
from html import unescape
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def text_of(svg: str) -> list[str]:
    """What stands on a picture."""
    found = re.search(r"<desc>(.*?)</desc>", svg, re.DOTALL)
    return unescape(found.group(1)).splitlines() if found else []


def check(svg: str, name: str) -> None:
    """Compare with the kept picture ``name``; shows which lines differ, and where the new picture is."""
    kept = FOLDER / f"{name}.svg"
    if os.environ.get("PYCTR_SNAPSHOTS") == "update":
        FOLDER.mkdir(exist_ok=True)
        kept.write_text(svg)
        return
    assert kept.exists(), f"no picture {kept.name}: make it with PYCTR_SNAPSHOTS=update and look at it"
    before = kept.read_text()
    if before == svg:
        return
    fresh = Path(os.environ.get("TMPDIR", "/tmp")) / f"pyctr-{name}.svg"
    fresh.write_text(svg)
    lines = difflib.unified_diff(text_of(before), text_of(svg), "kept", "now", lineterm="", n=0)
    difference = "\n".join(lines) or "the same text in other colours"
    raise AssertionError(f"the screen is not as on {kept.name} (now: {fresh}):\n{difference}")
