"""``logs``: of a container, or of all of a stack's, merged in the order of time."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from pyctr_engine.errors import NotFound
from pyctr_tui.cli import stackref, text, values
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.log import LogLine
    from pyctr_engine.model.status import Container

_GRAMMAR = Grammar(
    "logs",
    "CONTAINER… | STACK.yaml",
    "Show what containers wrote, or all of a stack's: those of several in the order of time.",
    Option("-f, --follow", "Go on as more is written"),
    Option("-n, --tail", "Only the last so many lines, or all", "NUMBER"),
    Option("-t, --timestamps", "Begin each line with its time"),
    Option("--since", "Only from this time on: 10m, or 2026-01-31T13:05:00Z", "TIME"),
    Option("--until", "Only up to this time", "TIME"),
    stackref.STACK,
    most=None,
)

Source = tuple[str, "Iterator[LogLine]"]


def logs(call: Call, words: Sequence[str]) -> int:
    """``logs``."""
    parsed = _GRAMMAR.parse(words)
    names, stack = parsed.arguments, parsed.value("stack")
    if not names and not stack:
        raise _GRAMMAR.error("logs of what?", "usage: pyctr-tui logs CONTAINER…, or --stack NAME")
    follow = parsed.flag("follow")
    number = values.integer(parsed.value("tail"), "--tail") if parsed.value("tail", "all") != "all" else -1
    tail = number if number >= 0 else None
    since = values.moment(parsed.value("since"), "--since") if "since" in parsed else None
    until = values.moment(parsed.value("until"), "--until") if "until" in parsed else None

    def source(ref: str) -> Iterator[LogLine]:
        return call.engine.logs(ref, follow=follow, tail=tail, since=since, until=until)

    show = _Printer(timestamps=parsed.flag("timestamps"), flush=follow)
    if len(names) == 1 and not stack and not stackref.is_file(names[0]):
        for line in source(names[0]):
            show(line, "")
        return 0
    containers = _named(call, names, stack)
    width = max(len(_label(container)) for container in containers)
    sources = [(f"{_label(container):<{width}} | ", source(container.id)) for container in containers]
    for prefix, line in _follow(sources) if follow else _merge(sources):
        show(line, prefix)
    return 0


def _named(call: Call, names: Sequence[str], stack: str) -> list[Container]:
    """The containers that are named, by themselves or by a stack's file, each once."""
    found: dict[str, Container] = {}
    for name in names or [""]:
        if not name or stackref.is_file(name):
            members = _of_stack(call, stackref.stack_name(call, name, stack) if name else stack)
        else:
            members = [call.engine.container(name)]
        found |= {container.id: container for container in members}
    return list(found.values())


def _of_stack(call: Call, name: str) -> list[Container]:
    containers = [container for container in call.engine.containers() if container.stack == name]
    if not containers:
        raise NotFound(f"the stack {name} has no containers", "`pyctr-tui stack ls` lists stacks")
    return sorted(containers, key=lambda container: container.name)


def _label(container: Container) -> str:
    """A container's name without its stack's, as docker compose shows it."""
    return container.name.removeprefix(f"{container.stack}-")


def _merge(sources: list[Source]) -> Iterator[tuple[str, LogLine]]:
    """All lines in the order of their times."""

    def tagged(prefix: str, lines: Iterator[LogLine]) -> Iterator[tuple[str, LogLine]]:
        for line in lines:
            yield prefix, line

    return heapq.merge(*(tagged(*source) for source in sources), key=lambda item: item[1].time)


def _follow(sources: list[Source]) -> Iterator[tuple[str, LogLine]]:
    """All lines as they come, until each source has ended; one thread each."""
    import queue
    import threading

    found: queue.SimpleQueue[tuple[str, LogLine | BaseException | None]] = queue.SimpleQueue()

    def read(prefix: str, lines: Iterator[LogLine]) -> None:
        try:
            for line in lines:
                found.put((prefix, line))
            found.put((prefix, None))
        except BaseException as error:  # noqa: BLE001 - raised again where it can be seen
            found.put((prefix, error))

    for source in sources:
        threading.Thread(target=read, args=source, daemon=True).start()
    left = len(sources)
    while left:
        prefix, item = found.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            left -= 1
        else:
            yield prefix, item


class _Printer:
    """Writes lines to where the container wrote them: standard output or standard error."""

    def __init__(self, *, timestamps: bool, flush: bool) -> None:
        self._timestamps = timestamps
        self._flush = flush
        self._terminal = {"stdout": is_terminal(1), "stderr": is_terminal(2)}
        self._goes_on: set[tuple[str, str]] = set()

    def __call__(self, line: LogLine, prefix: str) -> None:
        shown = text.harmless_line(line.text) if self._terminal[line.stream] else line.text
        place = (prefix, line.stream)
        stamp = f"{prefix}{text.timestamp(line.time)} " if self._timestamps else prefix
        if place in self._goes_on:  # the rest of a long line
            stamp = ""
        (self._goes_on.add if line.partial else self._goes_on.discard)(place)
        stream: TextIO = sys.stderr if line.stream == "stderr" else sys.stdout
        stream.write(f"{stamp}{shown}" if line.partial else f"{stamp}{shown}\n")
        if self._flush:
            stream.flush()
