"""``rename`` and ``update``: what can be changed of a container that is there."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_tui.cli import limits, values
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.lifecycle import each
from pyctr_tui.cli.options import Grammar, Option
from pyctr_tui.cli.request import LIMITS

_RENAME = Grammar("rename", "CONTAINER NAME", "Give a container another name.", least=2, most=2)
_UPDATE = Grammar(
    "update",
    "CONTAINER…",
    "Change limits and restart policy of containers; of those that run at once. 0 takes a limit away\n"
    "(--cpuset-cpus '' that of the CPUs, /dev/X:0 that of a disk, --hugetlb 2MB= that of huge pages).",
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
    any_limit = any(option.key in parsed for option in _UPDATE.options if option.key != "restart")
    if not any_limit and "restart" not in parsed:
        raise _UPDATE.error("nothing to change was given")
    policy = values.restart(parsed.value("restart")) if "restart" in parsed else None

    def act(ref: str) -> None:
        call.engine.update(ref, (lambda before: limits.changed(parsed, before)) if any_limit else None, policy)

    return each(parsed.arguments, act)
