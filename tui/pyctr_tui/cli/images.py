"""``images``, ``history``, ``tag`` and ``rmi``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyctr_tui.cli import output, views
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.lifecycle import each
from pyctr_tui.cli.options import Grammar, Option

_NO_TRUNC = Option("--no-trunc", "Shorten nothing")
_QUIET = Option("-q, --quiet", "Only ids")

_IMAGES = Grammar(
    "images",
    "[NAME[:TAG]]",
    "List images.",
    Option("-a, --all", "All of them (always so)"),
    _QUIET,
    Option("--digests", "Show digests"),
    _NO_TRUNC,
    output.LIST_FORMAT,
    most=1,
)
_HISTORY = Grammar(
    "history",
    "IMAGE",
    "Show how an image was made, the last step first.",
    _NO_TRUNC,
    _QUIET,
    output.LIST_FORMAT,
    least=1,
    most=1,
)
_TAG = Grammar("tag", "IMAGE NAME[:TAG]", "Give an image one more name.", least=2, most=2)
_REMOVE = Grammar(
    "rmi",
    "IMAGE…",
    "Remove names of images, and with its last name an image.",
    Option("-f, --force", "The last name of one that containers use, and all names of an id"),
    least=1,
    most=None,
)


def images(call: Call, words: Sequence[str]) -> int:
    """``images``."""
    parsed = _IMAGES.parse(words)
    found, now, full = call.engine.images(), time.time(), parsed.flag("no-trunc")
    rows = [row for image in found for row in views.image_rows(image, now, full=full)]
    if parsed.arguments:
        name = parsed.arguments[0]
        rows = [row for row in rows if name in (row["Repository"], f"{row['Repository']}:{row['Tag']}")]
    if parsed.flag("quiet"):
        output.lines(dict.fromkeys(str(row["ID"]) for row in rows))
        return 0
    columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if parsed.flag("digests"):
        columns.insert(2, "Digest")
    output.rows(rows, parsed.value("format"), columns, "IMAGE ID")
    return 0


def history(call: Call, words: Sequence[str]) -> int:
    """``history``: every step."""
    parsed = _HISTORY.parse(words)
    now, full = time.time(), parsed.flag("no-trunc")
    found = reversed(call.engine.layers(parsed.arguments[0]))
    rows = [views.layer_row(layer, now, full=full, ascii=call.ascii) for layer in found]
    if parsed.flag("quiet"):
        output.lines(str(row["ID"]) for row in rows)
        return 0
    output.rows(rows, parsed.value("format"), ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"), "LAYER")
    return 0


def tag(call: Call, words: Sequence[str]) -> int:
    """``tag``."""
    image, name = _TAG.parse(words).arguments
    call.engine.tag(image, name)
    return 0


def remove(call: Call, words: Sequence[str]) -> int:
    """``rmi``."""
    parsed = _REMOVE.parse(words)
    force = parsed.flag("force")
    return each(parsed.arguments, lambda ref: output.lines(call.engine.remove_image(ref, force)), echo=False)
