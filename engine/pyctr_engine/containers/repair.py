"""`system check --repair`: every problem that a check finds and that can be mended, until none is left."""

from __future__ import annotations

from pyctr_engine.containers import check
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import EngineError, from_os_error
from pyctr_engine.model.tidy import Problem, Repair

_ROUNDS = 4
"""One repair makes way for the next: a damaged blob goes, then its image, then what only that needed."""


def repair(context: Context) -> list[Repair]:
    """What was done, and what could not be, a line each."""
    done: list[Repair] = []
    for _ in range(_ROUNDS):
        problems = [problem for _, _, found in check.parts(context) for problem in found]
        fresh = [repair for repair in map(_attempt, problems) if repair is not None and repair not in done]
        done += fresh
        if not any(repair.done for repair in fresh):
            break
    for repaired in done:
        if repaired.done:
            context.event("system", "repair", repaired.subject, repaired.detail)
    return done


def _attempt(problem: Problem) -> Repair | None:
    if problem.mend is None:
        return None
    try:
        return problem.mend()
    except EngineError as error:
        return Repair(problem.finding.subject, f"left: {error.message}", done=False)
    except OSError as error:
        return Repair(problem.finding.subject, f"left: {from_os_error(error, 'mend it').message}", done=False)
