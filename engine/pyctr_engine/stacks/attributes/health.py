"""``healthcheck:``."""

from __future__ import annotations

from typing import Any

from pyctr_engine.model.spec import HealthCheck
from pyctr_engine.record import replace
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Node, Sequence
from pyctr_engine.stacks.draft import Draft

_DURATIONS = ("interval", "timeout", "start_period", "start_interval")
_NONE = ("NONE",)


def healthcheck(draft: Draft, node: Node) -> None:
    """``healthcheck:``; what it doesn't say is taken from the image's."""
    options = values.mapping(node, "healthcheck")
    values.known_keys(options, "healthcheck", ("test", "retries", "disable", *_DURATIONS))
    found: dict[str, Any] = {}
    disabled = False
    for key, value in options:
        if key.text in _DURATIONS:
            found[key.text] = values.duration(value, key.text)
        elif key.text == "retries":
            found["retries"] = values.integer(value, "retries", 0)
        elif key.text == "disable":
            disabled = values.boolean(value, "disable", draft.context.warn_node)
        elif key.text == "test":
            found["test"] = _test(value)
    check = HealthCheck(_NONE) if disabled else HealthCheck(**found)
    draft.request = replace(draft.request, health=check)


def _test(node: Node) -> tuple[str, ...]:
    """A line for a shell, or a list that begins with CMD, CMD-SHELL or NONE."""
    if not isinstance(node, Sequence):
        return ("CMD-SHELL", values.string(node, "test"))
    words = tuple(values.string(item, "an item of test") for item in node)
    if not words or words[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise node.error("a test begins with CMD, CMD-SHELL or NONE", "or write it as one string")
    if words[0] == "NONE":
        return _NONE
    if len(words) < 2:
        raise node.error(f"a test that begins with {words[0]} goes on with what to run")
    return words
