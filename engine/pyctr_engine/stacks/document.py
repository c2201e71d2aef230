"""A YAML file as a small tree whose every value remembers where it stood.

Built from the parser's events rather than by PyYAML's constructor, for four reasons: positions survive; duplicate
keys are seen; aliases are counted as they are expanded, so that a few lines can't become gigabytes; and scalars stay
text, read later as what the attribute calls for (``22:22`` is a port, never YAML 1.1's base-60 number).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyctr_engine.errors import InvalidStack, NotFound, from_os_error

MAX_BYTES = 1 << 20
"""Largest stack file, bytes."""
MAX_NODES = 50_000
"""Most values a file may have after all aliases are expanded."""
MAX_DEPTH = 64
"""Deepest nesting."""

_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1. ``str()`` gives ``file:line:column``."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def error(self, what: str, hint: str = "") -> InvalidStack:
        """The error that says ``what`` is wrong here."""
        return InvalidStack(f"{self}: {printable(what)}", printable(hint))


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place; one of `Scalar`, `Sequence`, `Mapping`."""

    mark: Mark

    def error(self, what: str, hint: str = "") -> InvalidStack:
        """The error that says ``what`` is wrong with this value."""
        return self.mark.error(what, hint)

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        raise NotImplementedError

    @property
    def is_null(self) -> bool:
        """Whether it is YAML's null (an empty value, ``~``, ``null``)."""
        return False


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A piece of text. ``plain`` ones were written without quotes, and may mean null."""

    text: str
    plain: bool = True

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "nothing" if self.is_null else f'"{self.text}"'

    @property
    def is_null(self) -> bool:
        """Whether it is YAML's null."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """A list."""

    items: tuple[Node, ...]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "a list"


@dataclass(frozen=True, slots=True)
class Mapping(Node):
    """Keys and values in file order; keys are unique."""

    entries: tuple[tuple[Scalar, Node], ...]

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries)

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "a mapping"

    def get(self, key: str) -> Node | None:
        """The value of ``key``; ``None`` when there is no such key or its value is null."""
        for name, value in self.entries:
            if name.text == key:
                return None if value.is_null else value
        return None


def printable(text: str) -> str:
    """Text that may have come out of a file, fit for a message: no control characters, and not without end."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text[:300]
    )
    return shown + "…" if len(text) > 300 else shown


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the known name most like ``name``; empty when none is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""


def read_text(path: str) -> str:
    """The file's text. Raises NotFound, InvalidStack (too large, not UTF-8), or what the OSError stands for."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"no such file: {path}", "give the path of a stack file") from error
    except OSError as error:
        raise from_os_error(error, "read a file") from error
    if len(data) > MAX_BYTES:
        raise InvalidStack(f"{path}:1:1: the file is larger than {MAX_BYTES >> 20} MiB", "is this a stack file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        mark = Mark(path, before.count(b"\n") + 1, column)
        raise mark.error("this is not UTF-8 text", "save the file as UTF-8") from error


def read(path: str) -> Mapping:
    """Read a file that holds one mapping. Raises as `read_text` and `parse` do."""
    return parse(read_text(path), path)


def find(path: str) -> str:
    """``path`` itself, or the stack file in it when it is a directory (Compose's names, in Compose's order)."""
    if not os.path.isdir(path):
        return path
    for name in ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"):
        candidate = os.path.join(path, name)
        if os.path.isfile(candidate):
            return candidate
    raise NotFound(f"no stack file in {path}", "give a file, or a directory that has a compose.yaml")


def parse(text: str, file: str) -> Mapping:
    """Parse ``text``, named ``file`` in errors. Raises InvalidStack."""
    root = _Builder(text, file).build()
    if not isinstance(root, Mapping):
        raise root.error(f"a stack file is a mapping, not {root.kind}", "it begins with `services:`")
    return root


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What an anchor names, how many values it holds and how many levels, all aliases in it expanded."""

    node: Node
    size: int
    height: int


class _Builder:
    """Builds the tree from the parser's events, in one pass."""

    def __init__(self, text: str, file: str) -> None:
        # imported here: half of the commands never read a stack file
        import yaml

        self.yaml = yaml
        self.text = text
        self.file = file
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events = yaml.parse(text, Loader=loader)
        self.anchors: dict[str, _Anchor | None] = {}
        self.count = 0
        self.deepest = 0

    def build(self) -> Node:
        """The document's root."""
        yaml = self.yaml
        try:
            next(self.events)  # the stream's start
            event = next(self.events)
            if isinstance(event, yaml.StreamEndEvent):
                raise Mark(self.file, 1, 1).error("the file is empty", "it begins with `services:`")
            root = self.node(next(self.events), 1)
            next(self.events)  # the document's end
            event = next(self.events)
            if not isinstance(event, yaml.StreamEndEvent):
                raise self.mark(event).error("a second document begins", "one file holds one stack")
            return root
        except yaml.MarkedYAMLError as error:
            place = error.problem_mark or error.context_mark
            mark = Mark(self.file, place.line + 1, place.column + 1) if place else Mark(self.file, 1, 1)
            what = " ".join(part for part in (error.context, error.problem) if part)
            raise mark.error(f"this is not YAML: {what}") from error
        except yaml.reader.ReaderError as error:
            raise self.unreadable(error.position).error(f"this is not YAML: {error.reason}") from error

    def unreadable(self, position: int) -> Mark:
        """Where a character stands that YAML has no place for; ``position`` counts UTF-8 bytes."""
        before = self.text.encode()[:position].decode("utf-8", "ignore")
        return Mark(self.file, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def mark(self, event: object) -> Mark:
        """Where an event begins."""
        place = event.start_mark  # type: ignore[attr-defined]  # PyYAML's events carry it, its stubs don't say so
        return Mark(self.file, place.line + 1, place.column + 1)

    def grow(self, by: int, depth: int, mark: Mark) -> None:
        """Count values and levels; raise when there are too many."""
        self.count += by
        self.deepest = max(self.deepest, depth)
        if depth > MAX_DEPTH:
            raise mark.error(f"nested deeper than {MAX_DEPTH} levels")
        if self.count > MAX_NODES:
            raise mark.error(f"more than {MAX_NODES} values with all aliases expanded", "is this a stack file?")

    def node(self, event: object, depth: int) -> Node:
        """The node that ``event`` begins."""
        yaml = self.yaml
        mark = self.mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor, mark, depth)
        self.grow(1, depth, mark)
        anchor = getattr(event, "anchor", None)
        if anchor:
            return self.anchored(anchor, event, depth)
        return self.content(event, mark, depth)

    def anchored(self, anchor: str, event: object, depth: int) -> Node:
        """The node that ``event`` begins, kept for the aliases to come."""
        self.anchors[anchor] = None  # not finished: an alias to it now would be inside itself
        count, deepest = self.count, self.deepest
        self.deepest = depth
        node = self.content(event, self.mark(event), depth)
        self.anchors[anchor] = _Anchor(node, self.count - count + 1, self.deepest - depth)
        self.deepest = max(deepest, self.deepest)
        return node

    def content(self, event: object, mark: Mark, depth: int) -> Node:
        """The node that ``event`` begins, whatever its anchor."""
        yaml = self.yaml
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(mark, event.value, self.is_plain(event, mark))
        if isinstance(event, yaml.SequenceStartEvent):
            self.refuse_tag(tag, "tag:yaml.org,2002:seq", mark)
            return self.sequence(mark, depth)
        self.refuse_tag(tag, "tag:yaml.org,2002:map", mark)
        return self.mapping(mark, depth)

    def alias(self, anchor: str, mark: Mark, depth: int) -> Node:
        """What an alias stands for."""
        if anchor not in self.anchors:
            raise mark.error(f"*{anchor} has no anchor &{anchor} before it", nearest(anchor, self.anchors))
        target = self.anchors[anchor]
        if target is None:
            raise mark.error(f"*{anchor} stands inside its own anchor")
        self.grow(target.size, depth + target.height, mark)
        return target.node

    def is_plain(self, event: object, mark: Mark) -> bool:
        """Whether a scalar was written without quotes and without a tag that makes it a string."""
        tag = getattr(event, "tag", None)
        implicit = getattr(event, "implicit", (False, False))
        if tag is None:
            return bool(implicit[0])
        if tag in _PLAIN_TAGS:
            return True
        if tag not in _STRING_TAGS:
            self.refuse_tag(tag, "", mark)
        return False

    def refuse_tag(self, tag: str | None, known: str, mark: Mark) -> None:
        """Raise for a tag that is not YAML's own."""
        if tag in (None, "!", known):
            return
        shown = str(tag).replace("tag:yaml.org,2002:", "!!")
        if tag in ("!reset", "!override"):
            raise mark.error(f"{shown} is not supported yet", "it matters only where several files are merged")
        raise mark.error(f"the tag {shown} has no meaning here", "leave it out")

    def sequence(self, mark: Mark, depth: int) -> Sequence:
        """The rest of a list."""
        items: list[Node] = []
        while not isinstance(event := next(self.events), self.yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return Sequence(mark, tuple(items))

    def mapping(self, mark: Mark, depth: int) -> Mapping:
        """The rest of a mapping, its ``<<`` merged in."""
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Mapping] = []
        while not isinstance(event := next(self.events), self.yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise key.error(f"a key is text, not {key.kind}")
            value = self.node(next(self.events), depth + 1)
            if key.text == "<<" and key.plain:
                merged += _merged(value)
            elif key.text in entries:
                first = entries[key.text][0].mark.line
                raise key.error(f"{key.text} is given twice; first on line {first}", "keep one of them")
            else:
                entries[key.text] = (key, value)
        for source in merged:
            self.grow(len(source.entries), depth, mark)
            for name, inherited in source:
                entries.setdefault(name.text, (name, inherited))
        return Mapping(mark, tuple(entries.values()))


def _merged(value: Node) -> list[Mapping]:
    """What ``<<: value`` merges in, the most important first."""
    sources = list(value) if isinstance(value, Sequence) else [value]
    found = [source for source in sources if isinstance(source, Mapping)]
    if len(found) != len(sources):
        wrong = next(source for source in sources if not isinstance(source, Mapping))
        raise wrong.error(f"<< merges a mapping or a list of mappings, not {wrong.kind}")
    return found
