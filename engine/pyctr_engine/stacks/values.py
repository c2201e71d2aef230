"""Reading a node as what an attribute calls for.

All raise InvalidStack at the node they can't read; ``what`` names it in the message.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Table

from pyctr_engine.stacks.document import Mapping, Node, Scalar, Sequence, nearest

_INTEGER = re.compile(r"[-+]?\d+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_BYTES = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?([kmgtp]?)i?b?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_OLD_TRUE = ("yes", "y", "on")
_OLD_FALSE = ("no", "n", "off")


def article(what: str) -> str:
    """``what`` with its indefinite article."""
    return f"an {what}" if what[0] in "aeio" else f"a {what}"


def scalar(node: Node, what: str) -> Scalar:
    """A value that isn't a list, a mapping or null."""
    if not isinstance(node, Scalar) or node.is_null:
        raise node.error(f"{what} must be a value, not {node.kind}")
    return node


def string(node: Node, what: str) -> str:
    """A text, which may be empty. Numbers and booleans stand for themselves as written."""
    if not isinstance(node, Scalar) or node.is_null:
        raise node.error(f"{what} must be a string, not {node.kind}")
    if "\0" in node.text:
        raise node.error(f"{what} has a NUL character in it")
    return node.text


def word(node: Node, what: str) -> str:
    """A text that is not empty."""
    text = string(node, what)
    if not text.strip():
        raise node.error(f"{what} is empty")
    return text


def choice(node: Node, what: str, known: Iterable[str]) -> str:
    """One of the ``known`` words."""
    text = string(node, what)
    names = list(known)
    if text not in names:
        listed = f"it is one of {', '.join(names)}"
        raise node.error(f'{what} can\'t be "{text}"', nearest(text, names) or listed)
    return text


def boolean(node: Node, what: str, warn: Callable[[Node, str], None] | None = None) -> bool:
    """True or false. YAML 1.1's yes, no, on, off are taken with a warning, as Compose does."""
    text = node.text if isinstance(node, Scalar) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text.lower() in (*_OLD_TRUE, *_OLD_FALSE):
        value = text.lower() in _OLD_TRUE
        if warn:
            warn(node, f"{what}: {text} is not a boolean in YAML 1.2; write {str(value).lower()}")
        return value
    raise node.error(f"{what} must be true or false, not {node.kind}")


def integer(node: Node, what: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number, decimal, between ``least`` and ``most``."""
    text = node.text if isinstance(node, Scalar) else ""
    # more digits than any of these values can have: int() of a huge text is slow
    if not _INTEGER.fullmatch(text) or len(text) > 20:
        raise node.error(f"{what} must be a whole number, not {node.kind}")
    value = int(text)
    if least is not None and value < least:
        raise node.error(f"{what} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise node.error(f"{what} must be at most {most}, not {value}")
    return value


def number(node: Node, what: str) -> float:
    """A finite number that is not negative."""
    text = node.text if isinstance(node, Scalar) else ""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise node.error(f"{what} must be a number, not {node.kind}", "for example 0.5")
    value = float(text)
    if value < 0:
        raise node.error(f"{what} can't be negative")
    return value


def size(node: Node, what: str) -> int:
    """Bytes: ``64m``, ``1.5gb``, ``1024``. Units are powers of 1024, as in docker."""
    text = node.text if isinstance(node, Scalar) else ""
    match = _BYTES.fullmatch(text.strip())
    if match is None or len(text) > 32:
        raise node.error(f"{what} must be a size, not {node.kind}", "for example 64m or 1.5gb")
    shift = _UNITS[match[2].lower()]
    found = int(float(match[1]) * (1 << shift)) if "." in match[1] else int(match[1]) << shift
    if found >= 1 << 63:
        raise node.error(f"{what} is larger than a machine can have")
    return found


def duration(node: Node, what: str) -> float:
    """Seconds: ``10s``, ``1m30s``, ``1.5h``, ``500ms``; Go's syntax, so that a number needs its unit."""
    text = node.text if isinstance(node, Scalar) else ""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        hint = f"write {text}s" if _NUMBER.fullmatch(text) else "for example 10s or 1m30s"
        raise node.error(f"{what} must be a duration, not {node.kind}", hint)
    return sum(float(value) * _SECONDS[unit] for value, unit in parts)


def mapping(node: Node, what: str) -> Mapping:
    """A mapping; null counts as an empty one."""
    if isinstance(node, Mapping):
        return node
    if node.is_null:
        return Mapping(node.mark, ())
    raise node.error(f"{what} must be a mapping, not {node.kind}")


def items(node: Node, what: str) -> Sequence:
    """A list; null counts as an empty one."""
    if isinstance(node, Sequence):
        return node
    if node.is_null:
        return Sequence(node.mark, ())
    raise node.error(f"{what} must be a list, not {node.kind}", "each item begins with a dash")


def words(node: Node, what: str, one: str) -> tuple[str, ...]:
    """A list of texts that aren't empty; ``one`` names an item in messages."""
    return tuple(word(item, one) for item in items(node, what))


def one_or_more(node: Node, what: str) -> Sequence:
    """A list, or a single value standing for a list of one."""
    if isinstance(node, Scalar) and not node.is_null:
        return Sequence(node.mark, (node,))
    return items(node, what)


def pairs(node: Node, what: str, one: str) -> list[tuple[str, str | None, Node]]:
    """``KEY: value`` of a mapping, or ``KEY=value`` of a list: key, value (``None`` when there is none), place.

    Raises InvalidStack for a key that is empty or given twice.
    """
    found: list[tuple[str, str | None, Node]] = []
    if isinstance(node, Mapping):
        for key, value in node:
            found.append((key.text, None if value.is_null else string(value, f"{one} {key.text}"), key))
    else:
        for item in items(node, what):
            name, equals, value_text = string(item, one).partition("=")
            found.append((name, value_text if equals else None, item))
    seen: set[str] = set()
    for name, _, place in found:
        if not name:
            raise place.error(f"{article(one)} without a name")
        if name in seen:
            raise place.error(f"{one} {name} is given twice", "keep one of them")
        seen.add(name)
    return found


def known_keys(node: Mapping, what: str, supported: Iterable[str], unsupported: Iterable[str] = ()) -> None:
    """Raise InvalidStack for a key that is neither ``supported`` nor begins with ``x-``."""
    known = list(supported)
    planned = set(unsupported)
    for key, _ in node:
        if key.text in known or key.text.startswith("x-"):
            continue
        if key.text in planned:
            raise key.error(f"{key.text} of {what} is not supported yet", "leave it out")
        raise unknown_key(key, what, [*known, *planned])


def unknown_key(key: Scalar, what: str, known: Iterable[str]) -> Exception:
    """The error for a key that nobody knows."""
    names = list(known)
    hint = nearest(key.text, names)
    if not hint and len(names) <= 12:
        hint = f"known here: {', '.join(sorted(names))}"
    return key.error(f"{what} has no attribute {key.text}", hint or "names of your own begin with x-")


def table(node: Mapping, what: str, readers: Table[str, Callable[[Node], None]]) -> None:
    """Hand each value to the reader of its key. Raises InvalidStack for unknown keys."""
    known_keys(node, what, readers)
    for key, value in node:
        if key.text in readers:
            readers[key.text](value)
