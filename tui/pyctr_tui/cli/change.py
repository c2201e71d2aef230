"""``rename`` and ``update``: what can be changed of a container that is there."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_engine.model.spec import Resources
from pyctr_engine.record import replace
from pyctr_tui.cli import values
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.lifecycle import each
from pyctr_tui.cli.options import Grammar, Option, Parsed
from pyctr_tui.cli.request import LIMITS

_RENAME = Grammar("rename", "CONTAINER NAME", "Give a container another name.", least=2, most=2)
_UPDATE = Grammar(
    "update",
    "CONTAINER…",
    "Change limits and restart policy of containers; of those that run at once. 0 takes a limit away\n"
    "(--cpuset-cpus '' that of the CPUs).",
    *LIMITS,
    Option("--restart", "no, on-failure[:retries], always, unless-stopped", "POLICY"),
    least=1,
    most=None,
)


def rename(call: Call, words: Sequence[str]) -> int:
    """``rename``."""
    ref, name = _RENAME.parse(words).arguments
    call.engine.rename(ref, name)
    return 0


def update(call: Call, words: Sequence[str]) -> int:
    """``update``."""
    parsed = _UPDATE.parse(words)
    limits = any(option.key in parsed for option in _UPDATE.options if option.key != "restart")
    if not limits and "restart" not in parsed:
        raise _UPDATE.error("nothing to change was given")
    policy = values.restart(parsed.value("restart")) if "restart" in parsed else None

    def act(ref: str) -> None:
        call.engine.update(ref, (lambda before: changed(parsed, before)) if limits else None, policy)

    return each(parsed.arguments, act)


def changed(parsed: Parsed, before: Resources) -> Resources:
    """The limits with those that were given in their places."""

    def size(key: str, now: int | None) -> int | None:
        return values.size(parsed.value(key), f"--{key}") or None if key in parsed else now

    after = replace(
        before,
        memory=size("memory", before.memory),
        memory_reservation=size("memory-reservation", before.memory_reservation),
    )
    if "memory-swap" in parsed:
        after = replace(after, memory_swap=values.swap_size(parsed.value("memory-swap")) or None)
    elif after.memory is None or 0 < (before.memory_swap or 0) < after.memory:
        after = replace(after, memory_swap=None)
    if "cpus" in parsed:
        after = replace(after, cpus=values.number(parsed.value("cpus"), "--cpus") or None)
    if "cpu-shares" in parsed:
        after = replace(after, cpu_shares=values.integer(parsed.value("cpu-shares"), "--cpu-shares") or None)
    if "cpuset-cpus" in parsed:
        after = replace(after, cpuset=parsed.value("cpuset-cpus"))
    if "pids-limit" in parsed:
        count = values.integer(parsed.value("pids-limit"), "--pids-limit")
        after = replace(after, pids=count if count > 0 else None)
    return after
