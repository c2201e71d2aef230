"""Tasks that need each other, done by threads as soon as what they need is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

WORKERS = 8
"""Threads at most: a start waits for the kernel, but more threads than this only wait for each other."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do once all tasks in ``needs`` are done, and those in ``after`` are done or have failed."""

    key: str
    do: Callable[[], None]
    needs: Collection[str] = ()
    after: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the tasks, by key: failed with what, or skipped because something they need failed."""

    failed: dict[str, Exception]
    skipped: list[str]


def run(tasks: Sequence[Task], stop: threading.Event, workers: int = WORKERS) -> Outcome:
    """Do all tasks. One that fails keeps what needs it from being done, nothing else.

    Keys in ``needs`` and ``after`` that no task has count as done. An interrupt (KeyboardInterrupt) sets ``stop``,
    begins no more tasks, waits for those under way (so that nothing is left half made), and is raised again. When
    somebody else sets ``stop``, what has not begun counts as skipped.
    """
    keys = {task.key for task in tasks}
    waiting = {task.key: task for task in tasks}
    done: set[str] = set()
    failed: dict[str, Exception] = {}
    skipped: list[str] = []
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(tasks)))) as pool:
        try:
            while waiting or running:
                _skip(waiting, failed, skipped)
                if stop.is_set():
                    skipped += waiting
                    waiting.clear()
                for key, task in list(waiting.items()):
                    settled = done.union(failed, skipped)
                    if all(need in done or need not in keys for need in task.needs) and all(
                        need in settled or need not in keys for need in task.after
                    ):
                        del waiting[key]
                        running[pool.submit(task.do)] = key
                if not running and waiting:
                    # the planner gives no circles, but a hang would be a poor way to learn of one
                    skipped += waiting
                    break
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    key = running.pop(future)
                    error = future.exception()
                    if isinstance(error, Exception):
                        failed[key] = error
                    elif error is not None:
                        raise error
                    else:
                        done.add(key)
        except BaseException:
            stop.set()
            for future in running:
                future.cancel()
            raise
    return Outcome(failed, skipped)


def _skip(waiting: dict[str, Task], failed: dict[str, Exception], skipped: list[str]) -> None:
    """Take out what can't be done any more, and what needs that, and so on."""
    gone = {*failed, *skipped}
    again = True
    while again:
        again = False
        for key, task in list(waiting.items()):
            if gone.intersection(task.needs):
                del waiting[key]
                skipped.append(key)
                gone.add(key)
                again = True
