"""``healthcheck:`` is checked for its shape; nothing runs it yet, and the caller is told."""

from __future__ import annotations

from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Node, Sequence
from pyctr_engine.stacks.draft import Draft

_DURATIONS = ("interval", "timeout", "start_period", "start_interval")


def healthcheck(draft: Draft, node: Node) -> None:
    """``healthcheck:``, shape only."""
    options = values.mapping(node, "healthcheck")
    values.known_keys(options, "healthcheck", ("test", "retries", "disable", *_DURATIONS))
    runs = True
    for key, value in options:
        if key.text in _DURATIONS:
            values.duration(value, key.text)
        elif key.text == "retries":
            values.integer(value, "retries", 0)
        elif key.text == "disable":
            runs = runs and not values.boolean(value, "disable", draft.context.warn_node)
        elif key.text == "test":
            runs = runs and not _is_none(value)
    if runs:
        draft.context.warn_node(node, "health checks are not run yet")


def _is_none(node: Node) -> bool:
    """Whether a test says that there is none."""
    if not isinstance(node, Sequence):
        values.string(node, "test")
        return False
    words = [values.string(item, "an item of test") for item in node]
    if not words or words[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise node.error("a test begins with CMD, CMD-SHELL or NONE", "or write it as one string")
    return words[0] == "NONE"
