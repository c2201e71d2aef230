"""Limits that were changed for a while: of each container what there was before, and the job that puts it back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyctr_engine.errors import Cancelled
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.model.spec import Resources
    from pyctr_tui.application import Application
    from pyctr_tui.jobs import Job

RESTART = "restart"
"""What the restart policy is called among the fields of `Resources`, of which it is none."""


class _Pending:
    """Of each field that goes back: what it was, and what it was changed to."""

    def __init__(self, fields: dict[str, tuple[Any, Any]]) -> None:
        self.fields = fields
        self.job: Job | None = None


class Reverts:
    """One for each container. All but the jobs' work is done on the interface's thread.

    What is changed for good stays, whatever was to go back before. What is changed for a while again goes back to
    what there was before the first time, all of it when the last time is over.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._pending: dict[str, _Pending] = {}

    def changed(self, id: str, name: str, was: Mapping[str, Any], now: Mapping[str, Any], after: float) -> None:
        """A container's limits have been changed, for ``after`` seconds; 0 is for good."""
        pending = self._pending.get(id)
        if pending is not None and pending.job is not None and pending.job.cancel.is_set():
            pending = None
        fields = dict(pending.fields) if pending is not None else {}
        for field in now:
            before, _ = fields.pop(field, (was[field], None))
            if after:
                fields[field] = before, now[field]
        if pending is not None and not after and fields:
            pending.fields = fields
            return
        if pending is not None and pending.job is not None:
            pending.job.cancel.set()
        self._pending.pop(id, None)
        if after:
            self._later(id, name, _Pending(fields), after)

    def _later(self, id: str, name: str, pending: _Pending, after: float) -> None:
        """Put back what there was: a job, so that it shows, can be cancelled, and is asked about when leaving."""
        engine = self._application.engine

        def work(job: Job) -> str:
            if is_cancelled(job, after):
                raise Cancelled("cancelled")
            fields = pending.fields
            request = engine.container(id).spec.request
            restart = fields.get(RESTART, (None, None))
            engine.update(
                id,
                (lambda now: _put_back(now, fields)) if fields.keys() - {RESTART} else None,
                restart[0] if restart[1] == request.restart else None,
            )
            return f"{name} has its limits of before"

        def over(_: object) -> None:
            if self._pending.get(id) is pending:
                del self._pending[id]

        self._pending[id] = pending
        when = time.strftime("%H:%M:%S", time.localtime(self._application.clock() + after))
        title = f"{name} goes back to its limits of before at {when}"
        pending.job = self._application.jobs.run(title, work, then=over, failed=over, cancellable=True)


def is_cancelled(job: Job, seconds: float) -> bool:
    """Wait so long; whether it was cancelled meanwhile."""
    return job.cancel.wait(seconds)


def _put_back(now: Resources, fields: Mapping[str, tuple[Any, Any]]) -> Resources:
    """Limits with what there was before; what somebody else has changed since stays, swap with its memory."""
    back = {}
    for field, (before, _) in fields.items():
        judged = "memory" if field == "memory_swap" else field
        if field != RESTART and getattr(now, judged) == fields[judged][1]:
            back[field] = before
    return replace(now, **back)
