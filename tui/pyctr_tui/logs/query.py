"""What lines of a log are wanted: the line that is typed after ``&``, and its test.

``[level:warn] [stream:stderr] [!]REGEX``: of that level or worse; from that stream; that match, or with ``!`` those
that don't. Letters match in any case. Standard library only: the child that matches lines imports it too.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from pyctr_engine.record import asdict, dataclass
from pyctr_tui.logs.level import Level, level_of, named, record_of
from pyctr_tui.safe_text import safe_log

REACH = 64 << 10
"""Bytes of the log over which lines that tell no level go on with the one that was told before them."""
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
STREAMS = ("stdout", "stderr")


class BadQuery(ValueError):
    """What was typed can't be understood; the text says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which lines are wanted.

    Attributes:
        pattern: A regular expression; empty when any text will do.
        leave_out: Lines that match are not wanted, all others are.
        level: The least level.
        stream: Only of this stream; empty for both.
    """

    pattern: str = ""
    leave_out: bool = False
    level: int = 0
    stream: str = ""

    def __bool__(self) -> bool:
        return bool(self.pattern or self.level or self.stream)

    def dump(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))


def parse_query(text: str) -> Query:
    """Read what was typed. Raises BadQuery."""
    level, stream, rest = 0, "", text.strip()
    while found := re.match(r"(level|stream):(\S*)\s*", rest):
        field, word = found.groups()
        if field == "level":
            level = int(named(word))
            if not level:
                raise BadQuery(f"no level is called “{word}”: {', '.join(LEVELS)}")
        elif word in STREAMS:
            stream = word
        else:
            raise BadQuery(f"a stream is {' or '.join(STREAMS)}")
        rest = rest[found.end() :]
    leave_out = rest.startswith("!")
    pattern = rest[1:] if leave_out else rest
    _compiled(pattern)
    return Query(pattern, leave_out and bool(pattern), level, stream)


def text_query(text: str) -> Query:
    """Lines with a text in them, in any case of letters."""
    return Query(re.escape(text))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        where = f" at {error.pos + 1}" if isinstance(error, re.error) and error.pos is not None else ""
        raise BadQuery(
            f"no regular expression: {error.msg if isinstance(error, re.error) else error}{where}"
        ) from None


class Finder:
    """Finds the wanted lines in a block of whole lines of a log file."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._regex = _compiled(query.pattern)
        # a line that is passed over may tell the level of those after it
        literal = "" if query.leave_out or query.level else required_literal(query.pattern)
        self._literal = literal.lower().encode()
        self._has_blank = " " in literal

    def spans(self, block: bytes, head: bytes = b"") -> list[tuple[int, int]]:
        """Where the wanted lines of a block begin and end, newlines left out.

        ``head``: the lines before the block, `REACH` bytes of them, which may tell the level of its first ones.
        """
        if self._literal and self._is_plain(block):
            return self._spans_with_literal(block)
        out, start = [], 0
        levels = _Levels(head)
        for line in block.split(b"\n"):
            end = start + len(line)
            if line and self._might_fit(line) and self._fits_in_turn(line, start, levels):
                out.append((start, end))
            start = end + 1
        return out

    def _is_plain(self, block: bytes) -> bool:
        """Whether a text that is shown stands in the file just so.

        No colours in between, no blank that was a tab, no JSON that is shown otherwise, nothing that isn't ASCII.
        """
        return (
            block.isascii()
            and b"\\u001b" not in block
            and b'"m":"{' not in block
            and b'"m": "{' not in block
            and not (self._has_blank and b"\\t" in block)
        )

    def _might_fit(self, line: bytes) -> bool:
        return not self._literal or self._literal in line.lower() or not self._is_plain(line)

    def _fits_in_turn(self, line: bytes, start: int, levels: _Levels) -> bool:
        """As `fits`; a line that tells no level goes on with the one before it."""
        if not self._query.level:
            return self.fits(line)
        stream, text = stream_and_text(line)
        level = levels.of(stream, text, start, start + len(line) + 1)
        return level >= self._query.level and self._fits_but_level(stream, text)

    def _spans_with_literal(self, block: bytes) -> list[tuple[int, int]]:
        out = []
        folded = block.lower()
        at = folded.find(self._literal)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            if self.fits(block[start:end]):
                out.append((start, end))
            at = folded.find(self._literal, end)
        return out

    def fits(self, line: bytes) -> bool:
        """Whether a line of the file is wanted."""
        stream, text = stream_and_text(line)
        return self._fits_but_level(stream, text) and (not self._query.level or level_in(text) >= self._query.level)

    def _fits_but_level(self, stream: str, text: str) -> bool:
        query = self._query
        if query.stream and stream != query.stream:
            return False
        if not query.pattern:
            return True
        found = self._regex.search(text) is not None
        if not found and (record := record_of(text)) is not None:  # as it is shown
            found = self._regex.search(safe_log(record.text)) is not None
        return found is not query.leave_out


class _Levels:
    """The levels of a block's lines, of which those that tell none go on with what was told before, in their stream.

    Counted from line to line, so that it is the same wherever blocks begin, and read in either direction.
    """

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._told: dict[str, tuple[Level, int]] = {}

    def of(self, stream: str, text: str, start: int, end: int) -> Level:
        """The level of the next line of the block."""
        if level := level_in(text):
            self._told[stream] = level, end
            return level
        if stream not in self._told:
            self._told[stream] = self._before(stream)
        level, told = self._told[stream]
        return level if start - told < REACH else Level.NONE

    def _before(self, stream: str) -> tuple[Level, int]:
        """The level that was told last before the block, and where, counted from the block's beginning."""
        end = 0
        for line in reversed(self._head.split(b"\n")[:-1]):
            its, level = _stream_and_level(line)
            if level and its == stream:
                return level, end
            end -= len(line) + 1
        return Level.NONE, end


@lru_cache(maxsize=1024)
def _stream_and_level(line: bytes) -> tuple[str, Level]:
    """Remembered: while a log is followed the lines before what is new are nearly the same each time."""
    stream, text = stream_and_text(line)
    return stream, level_in(text)


def level_in(text: str) -> Level:
    """The level of a line, structured or not."""
    record = record_of(text)
    return record.level if record is not None else level_of(text)[0]


def stream_and_text(line: bytes) -> tuple[str, str]:
    """The stream a line of the file came from, and its text as it is shown."""
    if b"\\" not in line and line.endswith(b'"}'):  # as the monitor writes it, with nothing to decode
        head = line.find(b',"m":"', 0, 64)
        if head > 0:
            return line[line.find(b'"s":"') + 5 : head - 1].decode(), safe_log(
                line[head + 6 : -2].decode("utf-8", "replace")
            )
    text = line.decode("utf-8", "replace")
    try:
        record = json.loads(text)
        return str(record["s"]), safe_log(str(record["m"]).rstrip("\n"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", safe_log(text)


def required_literal(pattern: str) -> str:
    """A text that is in whatever matches a regular expression, the longest that is easily seen; empty for none.

    With it most blocks of a log can be passed over without reading their lines.
    """
    if re.search(r"\(\?[^:]|\\[xuUN0-9]", pattern):
        return ""
    runs, run, depth, at = [], "", 0, 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "|" and depth == 0:
            return ""
        if character == "\\":
            escaped = pattern[at : at + 1]
            at += 1
            plain = "" if escaped.isalnum() else escaped
        elif character == "[":
            at = _after_class(pattern, at)
            plain = ""
        elif character in "*?":
            run, plain = run[:-1], ""
        elif character == "{" and (repeat := _REPEAT.match(pattern, at - 1)):
            run, plain, at = run[:-1], "", repeat.end()
        else:
            depth += (character == "(") - (character == ")")
            plain = "" if character in "().^$+|" else character
        if plain and depth == 0 and plain.isascii() and plain.isprintable() and plain not in '"\\':
            run += plain
        else:
            runs.append(run)
            run = ""
    return max([*runs, run], key=len)


_REPEAT = re.compile(r"\{\d*,?\d*\}")


def _after_class(pattern: str, at: int) -> int:
    """Behind a class of characters that begins before ``at``."""
    at += pattern[at : at + 1] == "^"
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1
