"""Nothing grows by itself: containers come and go, the terminal changes its size, and all is as before."""

from __future__ import annotations

import asyncio
import gc
import threading

from textual.timer import Timer

from tests.tui.harness import Running, running

CYCLES = 300
SIZES = ((80, 24), (120, 36), (200, 60))
SETTLED = 20
"""Cycles after which everything that is made once has been made."""


def counted(it: Running) -> dict[str, int]:
    gc.collect()
    app, store = it.app, it.app.store
    return {
        "rings": len(store.rings),
        "containers": len(store.containers),
        "timers": sum(isinstance(one, Timer) for one in gc.get_objects()),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "widgets": len(list(app.screen.walk_children(with_self=True))),
        "screens": len(app.screen_stack),
    }


async def test_cycles_of_start_stop_and_resize_leave_nothing() -> None:
    async with running(80, 24) as it:
        before: dict[str, int] = {}
        for cycle in range(CYCLES):
            name = f"visitor-{cycle}"
            it.engine._add("", name, "debian:12", 1.0, 0.1, 1 << 20, None, 1, 1, 0)
            it.app.home.deliver([it.app.feed.read()])
            it.engine.stop(name)
            it.app.home.deliver([it.app.feed.read()])
            it.engine.remove(name)
            it.app.home.deliver([it.app.feed.read()])
            if cycle % 3 == 0:
                await it.pilot.resize_terminal(*SIZES[cycle // 3 % 3])
            if cycle % 20 == 10:
                await it.press("question_mark", "escape", "colon", "escape")
            if cycle in (SETTLED - 1, CYCLES - 1):
                await it.pilot.resize_terminal(120, 36)
                await it.settle()
                if not before:
                    before = counted(it)
        after = counted(it)
        more = {kind: (before[kind], after[kind]) for kind in before if after[kind] > before[kind]}
        assert not more, more
