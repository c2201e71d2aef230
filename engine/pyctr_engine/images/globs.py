"""Patterns for paths: ``*`` and ``?`` stay within a name, ``**`` crosses directories, ``[a-z]`` and ``[!a-z]``.

A pattern with a slash is a path from the root, one without is a name at any depth. What matches takes all below it
along. Names are bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from pyctr_engine.errors import InvalidValue


def compile(patterns: Sequence[str]) -> re.Pattern[bytes]:
    """One expression whose ``match`` says whether a relative path is meant. Raises InvalidValue."""
    try:
        return re.compile(b"|".join(map(_translate, patterns)), re.DOTALL)
    except re.error as error:
        raise InvalidValue(f"a pattern can't be read: {error}", "[a-z] wants its letters in order") from error


def _translate(pattern: str) -> bytes:
    text = os.fsencode(pattern)
    anchored = b"/" in text.rstrip(b"/")
    text = text.strip(b"/")
    if not text:
        raise InvalidValue(f"the pattern {pattern!r} means the whole file system", "name a path in it")
    parts: list[bytes] = [b"" if anchored else b"(?:.*/)?"]
    at = 0
    while at < len(text):
        if text.startswith(b"**/", at) and (at == 0 or text[at - 1 : at] == b"/"):
            parts.append(b"(?:.*/)?")
            at += 3
        elif text.startswith(b"**", at):
            parts.append(b".*")
            at += 2
        elif text[at : at + 1] == b"*":
            parts.append(b"[^/]*")
            at += 1
        elif text[at : at + 1] == b"?":
            parts.append(b"[^/]")
            at += 1
        elif text[at : at + 1] == b"[":
            end = text.find(b"]", at + 2)
            if end < 0:
                raise InvalidValue(f"the pattern {pattern!r} has a [ that doesn't end", "write it as [[]")
            inside = text[at + 1 : end]
            negated = inside[:1] in (b"!", b"^")
            body = inside[negated:].replace(b"\\", b"\\\\").replace(b"[", b"\\[").replace(b"^", b"\\^")
            parts.append(b"(?!/)[" + (b"^" if negated else b"") + body + b"]")
            at = end + 1
        else:
            parts.append(re.escape(text[at : at + 1]))
            at += 1
    return b"".join(parts) + rb"(?:/|\Z)"
