"""Questions about what is selected, answered in threads: layers, changes, processes, everything.

Of each kind only the newest question matters: one that was overtaken before its turn is never asked.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyctr_engine.errors import EngineError
from pyctr_tui.samples import past_of
from pyctr_tui.view import change_views, layer_views, process_views, why_view

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine

Kind = Literal["layers", "changes", "inspect", "inspect_image", "processes", "history", "why"]
THREADS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said about ``ref``; ``seconds`` is how long it took. ``value`` is ``None`` with an error."""

    kind: Kind
    ref: str
    value: Any
    error: str
    seconds: float


class Details:
    """Answers the newest question of each kind; ``deliver`` is called from a thread."""

    def __init__(self, engine: Engine, deliver: Callable[[Answer], None]) -> None:
        self._engine = engine
        self._deliver = deliver
        self._wanted: OrderedDict[Kind, str] = OrderedDict()
        self._busy: set[Kind] = set()
        self._changed = threading.Condition()
        self._started = False
        self._stopped = False

    def ask(self, kind: Kind, ref: str) -> None:
        """Ask, replacing an unanswered question of the same kind."""
        with self._changed:
            self._wanted[kind] = ref
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

    def _next(self) -> tuple[Kind, str] | None:
        for kind in self._wanted:
            if kind not in self._busy:
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
                kind, ref = found
                self._busy.add(kind)
            self._deliver(self._answer(kind, ref))
            with self._changed:
                self._busy.discard(kind)
                self._changed.notify()

    def _answer(self, kind: Kind, ref: str) -> Answer:
        began = time.monotonic()
        value: Any = None
        error = ""
        try:
            value = self._ask(kind, ref)
        except EngineError as trouble:
            error = trouble.message
        return Answer(kind, ref, value, error, time.monotonic() - began)

    def _ask(self, kind: Kind, ref: str) -> Any:
        if kind == "layers":
            return layer_views(self._engine.layers(ref))
        if kind == "changes":
            return change_views(self._engine.changes(ref))
        if kind == "processes":
            return process_views(self._engine.processes(ref))
        if kind == "history":
            return {id: past_of(self._engine.history(id).fine) for id in ref.split()}
        if kind == "why":
            return why_view(ref, self._engine.why(ref))
        if kind == "inspect":
            return self._engine.inspect(ref)
        return self._engine.inspect_image(ref)
