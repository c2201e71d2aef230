"""``ps``: containers, or a stack's containers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyctr_tui.cli import output, stackref, values, views
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar, Option

_GRAMMAR = Grammar(
    "ps",
    "[STACK.yaml]",
    "List running containers, of one stack if its file is named.",
    Option("-a, --all", "Those that don't run as well"),
    Option("-q, --quiet", "Only ids"),
    Option("-n, --last", "The last so many, whatever their state", "NUMBER"),
    Option("-l, --latest", "The last one, whatever its state"),
    Option(
        "-f, --filter", "status=, name=, label=, id=, ancestor=, exited=, health=, stack=", "KEY=VALUE", many=True
    ),
    Option("--no-trunc", "Shorten nothing"),
    stackref.STACK,
    output.LIST_FORMAT,
    most=1,
)
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def ps(call: Call, words: Sequence[str]) -> int:
    """``ps``."""
    parsed = _GRAMMAR.parse(words)
    stack = parsed.value("stack")
    if parsed.arguments:
        stack = stackref.stack_name(call, parsed.arguments[0], stack)
    filters = [*parsed.values("filter"), *([f"stack={stack}"] if stack else [])]
    last = 1 if parsed.flag("latest") else values.integer(parsed.value("last", "0"), "--last")
    every = parsed.flag("all") or last > 0 or any(text.startswith(("status=", "exited=")) for text in filters)
    containers = [c for c in views.select(call.engine.containers(), filters) if every or c.state.is_alive]
    if last > 0:
        containers = containers[:last]
    full = parsed.flag("no-trunc")
    if parsed.flag("quiet"):
        output.lines(c.id if full else views.short(c.id) for c in containers)
        return 0
    now = time.time()
    rows = (views.container_row(c, now, full=full, ascii=call.ascii) for c in containers)
    output.rows(rows, parsed.value("format"), _COLUMNS, "CONTAINER ID")
    return 0
