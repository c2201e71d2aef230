"""Questions about what is selected, answered in threads: layers, changes, processes, everything.

Of each kind only the newest question matters: one that was overtaken before its turn is never asked. Of those that
take long one is asked at a time.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pyctr_engine.record import dataclass
from pyctr_tui.past import read
from pyctr_tui.safe_text import safe
from pyctr_tui.trouble import told
from pyctr_tui.view import change_views, layer_views, process_views, why_view

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine

Kind = Literal["layers", "changes", "inspect", "inspect_image", "processes", "history", "why"] | str
"""A page's own kinds of questions are its business."""
THREADS = 3
LONG = frozenset({"disk", "unused"})
"""Kinds that look at every file there is: they take turns, so that the others always find a thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said about ``ref``; ``seconds`` is how long it took. ``value`` is ``None`` with an error.

    ``error`` is one harmless line, but ``value`` is as the engine gave it.
    ``then`` is who asked, for questions that are a page's own.
    """

    kind: Kind
    ref: str
    value: Any
    error: str
    seconds: float
    then: Callable[[Answer], object] | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    ref: str
    call: Callable[[], Any] | None
    then: Callable[[Answer], object] | None


class Details:
    """Answers the newest question of each kind; ``deliver`` is called from a thread."""

    def __init__(self, engine: Engine, deliver: Callable[[Answer], None]) -> None:
        self._engine = engine
        self._deliver = deliver
        self._wanted: OrderedDict[Kind, _Question] = OrderedDict()
        self._busy: set[Kind] = set()
        self._changed = threading.Condition()
        self._started = False
        self._stopped = False

    def ask(self, kind: Kind, ref: str) -> None:
        """Ask, replacing an unanswered question of the same kind."""
        self._put(kind, _Question(ref, None, None))

    def call(self, kind: Kind, call: Callable[[], Any], then: Callable[[Answer], object], ref: str = "") -> None:
        """Have ``call`` called in a thread, and ``then`` with its answer on the interface's thread.

        As with `ask`, of each kind only the newest question matters. EngineError becomes the answer's ``error``.
        """
        self._put(kind, _Question(ref, call, then))

    def _put(self, kind: Kind, question: _Question) -> None:
        with self._changed:
            self._wanted[kind] = question
            if not self._started:
                self._started = True
                for _ in range(THREADS):
                    threading.Thread(target=self._work, name="details", daemon=True).start()
            self._changed.notify()

    def stop(self) -> None:
        """Answer no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> tuple[Kind, _Question] | None:
        occupied = self._busy | LONG if self._busy & LONG else self._busy
        for kind in self._wanted:
            if kind not in occupied:
                return kind, self._wanted.pop(kind)
        return None

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and (found := self._next()) is None:
                    self._changed.wait()
                if self._stopped:
                    return
                assert found is not None
                kind, question = found
                self._busy.add(kind)
            self._deliver(self._answer(kind, question))
            with self._changed:
                self._busy.discard(kind)
                self._changed.notify()

    def _answer(self, kind: Kind, question: _Question) -> Answer:
        began = time.monotonic()
        value: Any = None
        error = ""
        try:
            value = self._ask(kind, question.ref) if question.call is None else question.call()
        except Exception as trouble:  # noqa: BLE001 - it is told
            error = safe(told(trouble).message)
        return Answer(kind, question.ref, value, error, time.monotonic() - began, question.then)

    def _ask(self, kind: Kind, ref: str) -> Any:
        if kind == "layers":
            return layer_views(self._engine.layers(ref))
        if kind == "changes":
            return change_views(self._engine.changes(ref))
        if kind == "processes":
            return process_views(self._engine.processes(ref))
        if kind == "history":
            return read(self._engine, ref.split())
        if kind == "why":
            return why_view(ref, self._engine.why(ref))
        if kind == "inspect":
            return self._engine.inspect(ref)
        return self._engine.inspect_image(ref)
