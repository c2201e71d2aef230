"""The commit dialog: what would be kept and how big it is, under which name, and the progress of keeping it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import CommitRequest
from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.figures import count, exact_size, size
from pyctr_tui.panes.details import draw_change
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, fill, gap, spread
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_engine.model.progress import Progress
    from pyctr_tui.application import Application
    from pyctr_tui.details import Answer
    from pyctr_tui.view import ChangeView, ContainerView

LABEL = 11
HEAD = 8
"""Lines above the list: four fields, a blank, the total, a blank, its title."""
FIELDS = ("name", "author", "message", "pause", "files")


@dataclass(slots=True)
class Form:
    """What has been filled in. ``excluded`` holds raw paths."""

    name: LineEdit
    author: LineEdit
    message: LineEdit
    pause: bool = True
    excluded: set[str] = field(default_factory=set)

    def leaves_out(self, raw: str) -> bool:
        """Whether a path, or one it lies under, is left out."""
        return any(raw == path or raw.startswith(path.rstrip("/") + "/") for path in self.excluded)

    def request(self) -> CommitRequest:
        """What to ask the engine."""
        return CommitRequest(
            name=self.name.value.strip(),
            author=self.author.value.strip(),
            message=self.message.value.strip(),
            pause=self.pause,
            exclude=tuple(sorted(self.excluded)),
        )


class _CommitPane(Pane):
    """Form and list. ``at`` is the field with the cursor; ``changes`` is ``None`` until they are known."""

    def __init__(self, container: ContainerView, form: Form) -> None:
        super().__init__()
        self.container = container
        self.form = form
        self.at = "name"
        self.changes: Sequence[ChangeView] | None = None
        self.cursor = self.top = 0
        self.error = ""
        self.progress: Progress | None = None
        self.busy = False

    def title(self) -> Line:
        palette = self.palette
        return [Segment("Commit ", palette.dim), Segment(self.container.name, palette.strong)]

    def subtitle(self) -> Line:
        keys = "Tab next · Space leaves out · Enter commits · Esc"
        return [Segment("committing …" if self.busy else keys, self.palette.dim)]

    @property
    def room(self) -> int:
        """Lines of the list in sight."""
        return max(1, self.inner_size[1] - HEAD - 2)

    def highlight(self) -> tuple[int, object] | None:
        if self.at == "files" and self.changes:
            return HEAD + self.cursor - self.top, self.palette.selected
        return None

    def paint(self, width: int, height: int) -> list[Line]:
        form = self.form
        lines: list[Line] = [
            self._field("name", form.name, width),
            self._field("author", form.author, width),
            self._field("message", form.message, width),
            self._pause(),
            [],
            self._total(width),
            [],
            self._list_title(width),
        ]
        lines += self._files(width)
        lines = lines[: height - 2]
        lines += [[gap(width)] for _ in range(height - 2 - len(lines))]
        return [*lines, [], self._state(width)]

    def _label(self, name: str, text: str) -> Segment:
        style = self.palette.accent if self.at == name else self.palette.dim
        return cells(f" {text}", LABEL, style)

    def _field(self, name: str, edit: LineEdit, width: int) -> Line:
        label = "name:tag" if name == "name" else name
        focused = self.at == name and not self.busy
        return [self._label(name, label), *edit.paint(max(width - LABEL - 1, 4), self.palette, focused)]

    def _pause(self) -> Line:
        palette = self.palette
        mark = f"[{glyphs.MARK if self.form.pause else ' '}]"
        text = "frozen while its files are read" if self.form.pause else "goes on: files may change under the reader"
        chosen = palette.selected if self.at == "pause" else palette.text
        return [
            self._label("pause", "pause"),
            Segment(mark, palette.strong + chosen),
            Segment(f" {text}", palette.dim),
        ]

    def _total(self, width: int) -> Line:
        palette = self.palette
        if self.changes is None:
            return [gap(1), Segment("counting what has changed …", palette.dim)]
        kept = [change for change in self.changes if not self.form.leaves_out(change.raw)]
        total = sum(change.size for change in kept)
        line: Line = [
            gap(1),
            Segment(exact_size(total), palette.edge["memory"] + palette.bold),
            Segment(f" in {count(len(kept), 'path')} become one new layer of {self.container.image}", palette.text),
        ]
        left_out = len(self.changes) - len(kept)
        aside: Line = [Segment(f"{left_out} left out ", palette.warn)] if left_out else []
        return spread(line, aside, width)

    def _list_title(self, width: int) -> Line:
        return [
            self._label("files", "files"),
            cells("SIZE", max(width - LABEL - 2, 4), self.palette.dim, right=True),
            gap(2),
        ]

    def _files(self, width: int) -> list[Line]:
        if not self.changes:
            text = "" if self.changes is None else "nothing has changed: the new image would be the same"
            return [[gap(1), Segment(text, self.palette.dim)]]
        self.top = max(min(self.top, self.cursor), self.cursor - self.room + 1, 0)
        return [
            draw_change(change, width, self.palette, self.form.leaves_out(change.raw))
            for change in self.changes[self.top : self.top + self.room]
        ]

    def _state(self, width: int) -> Line:
        palette = self.palette
        if self.error:
            return fill([gap(1), Segment(self.error, palette.bad)], width)
        if self.progress is not None:
            done, total = self.progress.done, self.progress.total
            share = done / total if total else 0.0
            figure = f" {size(done)} of {size(total)} " if total else " "
            line: Line = [gap(1), *bar(share, min(30, max(width // 3, 4)), palette.accent, palette.frame)]
            return [*line, Segment(figure, palette.text), Segment(safe(self.progress.text), palette.dim)]
        if self.busy:
            return [gap(1), Segment("committing …", palette.dim)]
        return [Segment(f" $ pyctr-tui commit {self.container.name} {self.form.name.value}", palette.faint)]


class CommitDialog(Dialog[str]):
    """Returns the new image's id, or ``None``."""

    def __init__(self, application: Application, container: ContainerView) -> None:
        base, _, _ = container.image.rpartition(":") if ":" in container.image else (container.image, "", "")
        name = LineEdit(f"{container.service or container.label or base}:new")
        form = Form(name, LineEdit(placeholder="who made it"), LineEdit(placeholder="what was changed, and why"))
        self._pane = _CommitPane(container, form)
        self._application = application
        super().__init__(self._pane)
        selection = application.home.selection
        if selection.changes is not None and selection.changes_of == container.id:
            self._pane.changes = selection.changes
        application.details.ask("changes", container.id)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """Most of the screen, never more than can be read."""
        files = len(self._pane.changes or ()) + HEAD + 5
        return min(96, width - 4), min(max(files, 18), 34, height - 2)

    def answered(self, answer: Answer) -> None:
        """The changes have been counted."""
        pane = self._pane
        if answer.kind != "changes" or answer.ref != pane.container.id:
            return
        if answer.error:
            pane.error = answer.error
            pane.changes = ()
        elif pane.changes != answer.value:
            selected = pane.changes[pane.cursor].raw if pane.changes and pane.cursor < len(pane.changes) else ""
            pane.changes = answer.value
            pane.cursor = next((at for at, change in enumerate(answer.value) if change.raw == selected), 0)
            arrange_again(self)
        pane.repaint()

    # -- keys ---------------------------------------------------------------------------------------------------

    def key(self, event: events.Key) -> None:
        """Fields, list, commit."""
        pane = self._pane
        if event.key in ("escape", "ctrl+c"):
            self.dismiss(None)  # a commit that has begun goes on; the images show it
            return
        if pane.busy:
            return
        if event.key in ("tab", "shift+tab") or (event.key in ("down", "up") and pane.at != "files"):
            by = 1 if event.key in ("tab", "down") else -1
            pane.at = FIELDS[(FIELDS.index(pane.at) + by) % len(FIELDS)]
        elif event.key == "enter":
            self._commit()
        elif pane.at == "files":
            self._list_key(event.key)
        elif pane.at == "pause":
            if event.key in ("space", "left", "right"):
                pane.form.pause = not pane.form.pause
        else:
            edit: LineEdit = getattr(pane.form, pane.at)
            if edit.key(event.key, event.character):
                pane.error = ""
        pane.repaint()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the field."""
        if self._pane.at in ("name", "author", "message") and not self._pane.busy:
            getattr(self._pane.form, self._pane.at).insert(event.text)
            self._pane.repaint()

    def _list_key(self, key: str) -> None:
        pane = self._pane
        if not pane.changes:
            return
        steps = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": pane.room, "pageup": -pane.room, "g": -(1 << 30),
                 "G": 1 << 30, "home": -(1 << 30), "end": 1 << 30}  # fmt: skip
        if key in ("space", "d", "x"):
            raw = pane.changes[pane.cursor].raw
            if not pane.form.leaves_out(raw) or raw in pane.form.excluded:
                pane.form.excluded ^= {raw}
            pane.cursor = min(pane.cursor + 1, len(pane.changes) - 1)
        elif key in steps:
            if key in ("up", "k") and pane.cursor == 0:
                pane.at = "pause"
            pane.cursor = max(0, min(pane.cursor + steps[key], len(pane.changes) - 1))

    # -- the work -----------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Commit in a thread; errors are shown here."""
        pane = self._pane
        request, ref = pane.form.request(), pane.container.id
        if not request.name:
            pane.error, pane.at = "give the new image a name, as in shop:fixed", "name"
            return
        pane.busy, pane.error, pane.progress = True, "", None
        application = self._application

        def progress(step: Progress) -> None:
            application.from_thread(self._progressed, step)

        def body() -> None:
            try:
                image = application.engine.commit(ref, request, progress)
            except EngineError as error:
                hint = f" · {error.hint}" if error.hint else ""
                application.from_thread(self._failed, safe(error.message + hint))
            else:
                application.feed.refresh(images=True)
                application.from_thread(self._done, image.id, request.name)

        threading.Thread(target=body, name="commit", daemon=True).start()

    def _progressed(self, step: Progress) -> None:
        self._pane.progress = step
        self._pane.repaint()

    def _failed(self, message: str) -> None:
        if not self.is_attached:
            self._application.home.notify_line(message, "bad", 12.0)
            return
        self._pane.busy, self._pane.error, self._pane.progress = False, message, None
        self._pane.repaint()

    def _done(self, image_id: str, name: str) -> None:
        self._application.home.notify_line(f"{self._pane.container.name} committed as {name}", "good")
        if self.is_attached and self.is_current:
            self.dismiss(image_id)
