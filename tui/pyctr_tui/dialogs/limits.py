"""The limits dialog: memory, CPUs and processes of a container, changed while it runs; all of them, or none.

Typed and set with Enter, or moved by a quarter with a key, at once, as the graph shows. For good, or for a
while, after which a job puts back what there was (`pyctr_tui.reverts`).
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from rich.segment import Segment

from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import Resources, RestartPolicy
from pyctr_engine.record import replace
from pyctr_tui.cli import values
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.reverts import RESTART
from pyctr_tui.safe_text import safe_error
from pyctr_tui.widgets.draw import Line, cells, fill, gap
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.application import Application
    from pyctr_tui.jobs import Job
    from pyctr_tui.samples import Sample
    from pyctr_tui.view import ContainerView

LABEL = 16
FIELDS = {
    "memory": ("memory", "-m", "512m, 2g; empty for no limit"),
    "reservation": ("kept for it", "--memory-reservation", "memory it keeps under pressure"),
    "cpus": ("CPUs", "--cpus", "1.5; empty for no limit"),
    "shares": ("CPU weight", "-c", "1024 is usual"),
    "pids": ("processes", "--pids-limit", "100; empty for no limit"),
    "restart": ("restart", "--restart", "no, on-failure:3, always, unless-stopped"),
}
AFTER = "after"
"""The field that is no limit: when what was changed goes back."""
LABELS = {**{name: (label, hint) for name, (label, _, hint) in FIELDS.items()},
          AFTER: ("back after", "10m, 1h; empty for good")}  # fmt: skip
MOVED = {"memory": 16 << 20, "reservation": 16 << 20, "cpus": 0.25, "shares": 256, "pids": 16}
"""Limits that keys move, and where they begin when there is none and nothing is used."""
STEP = 1.25
WHILE = " while this program runs"
"""Stands beside it."""

NONE = {"restart": "no", "pids": "-1"}
"""What an empty field is on the command line, where that is not 0."""


class _LimitsPane(Pane):
    """The fields; ``before`` is ``None`` until the limits there are have been read."""

    def __init__(self, container: ContainerView) -> None:
        super().__init__()
        self.container = container
        self.edits = {name: LineEdit(placeholder=hint) for name, (_, hint) in LABELS.items()}
        self.at = "memory"
        self.before: dict[str, str] | None = None
        self.error = ""
        self.busy = False

    def title(self) -> Line:
        return [Segment("Limits of ", self.palette.dim), Segment(self.container.name, self.palette.strong)]

    def subtitle(self) -> Line:
        keys = "Tab next · Enter sets · Ctrl+↑ ↓ moves it at once"
        return [Segment("changing …" if self.busy else keys, self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[]]
        for name, (label, _) in LABELS.items():
            style = self.palette.accent if self.at == name else self.palette.dim
            focused = self.at == name and not self.busy
            room = max(width - LABEL - 1, 4)
            beside = [Segment(WHILE, self.palette.dim)] if name == AFTER and room > 2 * len(WHILE) else []
            edit = self.edits[name].paint(room - len(WHILE) * len(beside), self.palette, focused)
            lines.append([cells(f" {label}", LABEL, style), *edit, *beside])
        lines += [[] for _ in range(height - len(lines) - 1)]
        return [*lines[: height - 1], self._state(width)]

    def changed(self) -> dict[str, str]:
        """The fields whose value is another than it was."""
        before = self.before or {}
        found = {name: self.edits[name].value.strip() for name in FIELDS}
        return {name: value for name, value in found.items() if value != before.get(name, "")}

    def _state(self, width: int) -> Line:
        palette = self.palette
        if self.error:
            return fill([gap(1), Segment(self.error, palette.bad)], width)
        if self.before is None:
            return [gap(1), Segment("reading …", palette.dim)]
        return fill([Segment(f" $ pyctr-tui {self.line()}", palette.faint)], width)

    def line(self) -> str:
        """The command line that does the same, without the program's name."""
        options = "".join(
            f" {FIELDS[name][1]} {value or NONE.get(name, 0)}" for name, value in self.changed().items()
        )
        return f"update{options} {self.container.name}"


class LimitsDialog(Dialog[None]):
    """Reads the limits, and changes them as a job; what the kernel refuses is said here, with all as it was."""

    def __init__(self, application: Application, container: ContainerView) -> None:
        self._pane = _LimitsPane(container)
        self._application = application
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """The fields, a line for what is typed, and room for a sentence."""
        return min(72, width - 4), len(LABELS) + 5

    def on_mount(self) -> None:
        """Ask for the limits there are."""
        super().on_mount()
        self._work(self._read)

    def key(self, event: events.Key) -> None:
        """Fields, and Enter."""
        pane = self._pane
        names = list(LABELS)
        if event.key in ("escape", "ctrl+c"):
            self.dismiss(None)
        elif pane.busy or pane.before is None:
            return
        elif event.key in ("tab", "down", "shift+tab", "up"):
            by = 1 if event.key in ("tab", "down") else -1
            pane.at = names[(names.index(pane.at) + by) % len(names)]
        elif event.key == "enter":
            self._set()
        elif event.key in ("ctrl+up", "ctrl+down"):
            self._move(event.key == "ctrl+up")
        elif pane.edits[pane.at].key(event.key, event.character):
            pane.error = ""
        pane.repaint()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the field."""
        if self._pane.before is not None and not self._pane.busy:
            self._pane.edits[self._pane.at].insert(event.text)
            self._pane.repaint()

    # -- the work -----------------------------------------------------------------------------------------------

    def _work(self, body: object) -> None:
        assert callable(body)

        def guarded() -> None:
            try:
                body()
            except EngineError as error:
                self._application.from_thread(self._failed, safe_error(error))

        threading.Thread(target=guarded, name="limits", daemon=True).start()

    def _read(self) -> None:
        request = self._application.engine.container(self._pane.container.id).spec.request
        self._application.from_thread(self._fill, {**texts(request.resources), "restart": policy(request.restart)})

    def _fill(self, found: dict[str, str]) -> None:
        pane = self._pane
        pane.before = found
        for name, text in found.items():
            pane.edits[name] = LineEdit(text, FIELDS[name][2])
        pane.repaint()

    def _move(self, up: bool) -> None:
        """The limit under the cursor a quarter up or down, at once."""
        pane = self._pane
        if pane.at not in MOVED:
            pane.error = f"{LABELS[pane.at][0]} is typed"
            return
        typed = pane.edits[pane.at].value.strip()
        try:
            found = parse({pane.at: typed}) if typed else {}
        except EngineError as error:
            pane.error = safe_error(error)
            return
        now = next((value for name, value in found.items() if name != "memory_swap"), None)
        text = moved(pane.at, now, up, self._application.store.samples.get(pane.container.id))
        pane.edits[pane.at] = LineEdit(text, LABELS[pane.at][1])
        self._set(stays=True)

    def _set(self, stays: bool = False) -> None:
        pane = self._pane
        changed = pane.changed()
        if not changed:
            self.dismiss(None)
            return
        try:
            restart = values.restart(changed.pop("restart")) if "restart" in changed else None
            parsed = parse(changed)
            after = values.seconds(typed, "back after") if (typed := pane.edits[AFTER].value.strip()) else 0.0
        except EngineError as error:
            pane.error = safe_error(error)
            return
        pane.busy, pane.error = True, ""
        engine, ref, name = self._application.engine, pane.container.id, pane.container.name
        was: dict[str, Any] = {}

        def change(before: Resources) -> Resources:
            was.update({field: getattr(before, field) for field in parsed})
            return replace(before, **parsed)

        def work(job: Job) -> str:
            if restart is not None:
                was[RESTART] = engine.container(ref).spec.request.restart
            engine.update(ref, change if parsed else None, restart)
            return f"{name} has its new limits" if parsed else f"{name} has its new restart policy"

        def done(_: object) -> None:
            now = {**parsed, RESTART: restart} if restart is not None else parsed
            self._application.reverts.changed(ref, name, was, now, after)
            self._done(stays)

        self._application.jobs.run(f"changing {name}", work, cli=pane.line(), then=done, failed=self._refused)

    def _failed(self, message: str) -> None:
        if not self.is_attached:
            self._application.home.notify_line(message, "bad", 12.0)
            return
        self._pane.busy, self._pane.error = False, message
        self._pane.repaint()

    def _refused(self, error: EngineError) -> None:
        self._failed(safe_error(error))

    def _done(self, stays: bool) -> None:
        if not (self.is_attached and self.is_current):
            return
        if not stays:
            self.dismiss(None)
            return
        pane = self._pane
        pane.busy = False
        pane.before = {**(pane.before or {}), **pane.changed()}
        pane.repaint()


def texts(resources: Resources) -> dict[str, str]:
    """Limits as they are typed; empty for none."""
    return {
        "memory": _size(resources.memory),
        "reservation": _size(resources.memory_reservation),
        "cpus": f"{resources.cpus:g}" if resources.cpus else "",
        "shares": str(resources.cpu_shares or ""),
        "pids": str(resources.pids) if (resources.pids or 0) > 0 else "",
    }


def moved(name: str, now: float | None, up: bool, used: Sample | None) -> str:
    """A limit a quarter up or down, as it is typed. Where there is none, down begins at twice what is used."""
    if now is None and up:
        return ""
    if now is None:
        use = {"memory": used.memory, "reservation": used.memory, "cpus": used.cpu, "pids": used.pids} if used else {}
        now = max(2.0 * (use.get(name) or 0.0), MOVED[name]) * STEP
    wanted = now * STEP if up else now / STEP
    if name == "cpus":
        return f"{max(wanted, 0.01):.2f}".rstrip("0").rstrip(".")
    if name in ("memory", "reservation"):
        return f"{max(round(wanted / (1 << 20)), 6)}m"
    return str(max(math.ceil(wanted) if up else int(wanted), 2 if name == "shares" else 1))


def policy(restart: RestartPolicy) -> str:
    """A restart policy as it is typed: ``on-failure:3``."""
    return f"{restart.name}:{restart.max_retries}" if restart.max_retries else restart.name


def _size(bytes: int | None) -> str:
    """The shortest exact way to write it: 512m."""
    if not bytes:
        return ""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if bytes % factor == 0:
            return f"{bytes // factor}{unit}"
    return str(bytes)


def parse(typed: dict[str, str]) -> dict[str, Any]:
    """Fields of `Resources` for what was typed. Raises UsageError."""
    found: dict[str, Any] = {}
    for name, text in typed.items():
        what = FIELDS[name][0]
        if name in ("memory", "reservation"):
            field = "memory" if name == "memory" else "memory_reservation"
            found[field] = (values.size(text, what) or None) if text else None
            if name == "memory":
                found["memory_swap"] = None  # as much swap as memory, docker's rule where nothing is said
        elif name == "cpus":
            found["cpus"] = (values.number(text, what) or None) if text else None
        else:
            count = values.integer(text, what) if text else 0
            if name == "shares":
                found["cpu_shares"] = count if count > 0 else None
            else:
                found["pids"] = count if count > 0 else -1  # none at all would be the usual one
    return found
