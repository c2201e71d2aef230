"""Checkpoints of a container: states of its files, drawn as the tree they are; take one, go back, branch, forget."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.dialogs.confirm import Choice, Chosen, ConfirmDialog
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.figures import age, count, exact_size, size
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap, width_of

if TYPE_CHECKING:
    from pyctr_engine.model.checkpoint import Checkpoint, Since
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView

DEEP = 6
"""Branches of branches that are drawn further right; deeper ones stand below each other."""
NOW = "now"


@dataclass(frozen=True, slots=True)
class Row:
    """One checkpoint, or the present state (``raw`` is empty). ``before`` is what of the tree stands before it."""

    raw: str
    name: str
    before: str
    created: float
    size: int
    message: str
    parent: str
    current: bool


def tree(points: Sequence[Checkpoint]) -> tuple[Row, ...]:
    """The checkpoints as a tree, oldest first, branches further right; the present state where it began from."""
    by_parent: dict[str, list[Checkpoint]] = {}
    names = {point.name for point in points}
    for point in points:
        by_parent.setdefault(point.parent if point.parent in names else "", []).append(point)
    current = next((point.name for point in points if point.current), "")
    parents = {point.name: point.parent for point in points}
    trunk: set[str] = set()
    at = current
    while at in names and at not in trunk:
        trunk.add(at)
        at = parents[at]
    rows: list[Row] = []

    def now(depth: int, first: bool) -> None:
        rows.append(Row("", NOW, _before(depth, first), 0.0, 0, "", current, True))

    def walk(siblings: list[Checkpoint], depth: int, first: bool, ends_now: bool) -> None:
        """All that began from one state; the one that leads to the present goes on straight, and comes last."""
        straight = next((point for point in siblings if point.name in trunk), None)
        if straight is None and siblings and not ends_now:
            straight = siblings[-1]
        for point in siblings:
            if point is not straight:
                down(point, depth + 1, True)
        if straight is not None:
            down(straight, depth, first)
        if ends_now:
            now(depth, first)

    def down(point: Checkpoint, depth: int, first: bool) -> None:
        message, parent = safe(" ".join(point.message.split())), safe(point.parent)
        rows.append(
            Row(point.name, safe(point.name), _before(depth, first), point.created, point.size, message, parent,
                point.current)
        )  # fmt: skip
        walk(by_parent.get(point.name, []), depth, False, point.name == current)

    walk(by_parent.get("", []), 0, False, not current)
    return tuple(rows)


def _before(depth: int, first: bool) -> str:
    depth = min(depth, DEEP)
    if not depth:
        return ""
    return "│ " * (depth - 1) + ("├─" if first else "│ ")


class CheckpointsPane(ListPane[Row]):
    """The tree."""

    def __init__(self, store: Store) -> None:
        super().__init__(id="checkpoints")
        self.store = store
        self.subject: ContainerView | None = None
        self.error = ""
        self.loaded = False
        self.changed: int | None = None

    def key(self, item: Row) -> str:
        """Its name."""
        return f"point:{item.raw}"

    def title(self) -> Line:
        """Whose they are."""
        palette = self.palette
        line = [Segment("Checkpoints", palette.strong)]
        if self.subject is not None:
            line += [Segment(" of ", palette.dim), Segment(self.subject.name, palette.strong)]
            line.append(Segment(f" {glyphs.DOT} {sum(bool(row.raw) for row in self.whole)}", palette.dim))
        return line

    def subtitle(self) -> Line:
        """What they are of."""
        return [Segment("of its files; not of volumes, not of memory", self.palette.dim)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        name, parent, message = self._widths(width)
        line = [
            gap(1),
            cells("NAME", name, dim),
            cells("TAKEN", 7, dim, right=True),
            cells("SIZE", 7, dim, right=True),
        ]
        line.append(gap(2))
        if parent:
            line.append(cells("FROM", parent, dim))
        return [*line, cells("MESSAGE", message, dim)]

    def _widths(self, width: int) -> tuple[int, int, int]:
        """Name with tree, parent, message."""
        longest = max((width_of(row.before) + width_of(row.name) + 4 for row in self.items), default=12)
        name = max(12, min(longest, width * 2 // 5))
        parent = 14 if width >= 90 else 0
        return name, parent, max(width - name - parent - 18, 4)

    def draw(self, item: Row, width: int) -> Line:
        """One state."""
        palette = self.palette
        name, parent, message = self._widths(width)
        room = name - width_of(item.before) - 3
        tone = palette.good if not item.raw else palette.accent if item.current else palette.dim
        line: Line = [
            gap(1),
            Segment(item.before, palette.frame),
            Segment(f"{glyphs.RUNNING if not item.raw else glyphs.EXITED} ", tone),
            cells(item.name, room, palette.strong if item.raw else palette.good),
            gap(1),
        ]
        if not item.raw:
            changed = "" if self.changed is None else f"+{size(self.changed)}"
            line += [gap(7), cells(changed, 7, palette.warn if self.changed else palette.dim, right=True), gap(2)]
            text = "the container's files as they are" if self.changed != 0 else "nothing changed since"
            return [*line, *([cells(safe(item.parent) or glyphs.DASH, parent, palette.dim)] if parent else []),
                    cells(text, message, palette.dim)]  # fmt: skip
        line.append(cells(age(self.store.clock() - item.created), 7, palette.dim, right=True))
        line.append(cells(size(item.size), 7, palette.edge["memory"] if item.size else palette.dim, right=True))
        line.append(gap(2))
        if parent:
            line.append(cells(safe(item.parent) or glyphs.DASH, parent, palette.dim))
        return [*line, cells(item.message or glyphs.DASH, message, palette.text if item.message else palette.faint)]

    def empty(self, width: int) -> list[Line]:
        """Why there is nothing."""
        palette = self.palette
        if self.error:
            return [[gap(1), Segment(self.error, palette.bad)]]
        if self.subject is None:
            return [[gap(1), Segment("select a container first: Esc goes back to them", palette.dim)]]
        return [] if self.loaded else [[gap(1), Segment("reading …", palette.faint)]]


class CheckpointsPage(Page):
    """One list, of the container that was selected when the page was opened."""

    cli = "checkpoint ls"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = CheckpointsPane(home.store)
        self.panes = (self.list,)

    def opened(self) -> None:
        """Read them."""
        container = self.home.containers.container
        if container is None or self.list.subject is None or container.id != self.list.subject.id:
            self.list.show(())
            self.list.loaded, self.list.changed, self.list.error = False, None, ""
        self.list.subject = container
        self.cli = f"checkpoint ls {container.name}" if container else "checkpoint ls"  # type: ignore[misc]
        self.list.repaint()
        self._read()

    def job_changed(self, job: Job) -> None:
        """Something ended: look again."""
        if job.state != "running":
            self._read()

    def _read(self) -> None:
        container, engine = self.list.subject, self.application.engine
        if container is None:
            return

        def read() -> tuple[list[Checkpoint], int | None]:
            points = engine.checkpoints(container.id)
            current = next((point.name for point in points if point.current), "")
            return points, engine.since(container.id, current).bytes if current else None

        self.application.details.call("checkpoints", read, self._answered, container.id)

    def _answered(self, answer: Answer) -> None:
        pane = self.list
        if pane.subject is None or answer.ref != pane.subject.id:
            return
        pane.error = safe(answer.error)
        first = not pane.loaded
        pane.loaded = not answer.error
        if answer.error:
            pane.show(())
            return
        points, pane.changed = answer.value
        pane.show(tree(points))
        if first and pane.items:
            pane.move_to(max(len(pane.items) - (2 if len(pane.items) > 1 else 1), 0))

    # -- actions ------------------------------------------------------------------------------------------------

    def _chosen(self, also_now: bool = False) -> tuple[ContainerView, Row] | None:
        """The selected checkpoint; with ``also_now``, on the present state the one that it began from."""
        container, row = self.list.subject, self.list.selected
        if also_now and row is not None and not row.raw:
            row = next((one for one in self.list.items if one.raw and one.current), row)
        if container is None or row is None or not row.raw:
            self.home.notify_line("select a checkpoint first · n takes one", "warn")
            return None
        return container, row

    def action_take(self) -> None:
        """Take one of the present state."""
        container, engine = self.list.subject, self.application.engine
        if container is None:
            self.home.notify_line("select a container first", "warn")
            return

        def line(answers: Answers) -> str:
            message = ("-m", answers["message"]) if answers["message"] else ()
            return shlex.join(("checkpoint", "create", *message, container.name, *filter(None, (answers["name"],))))

        def then(answers: Answers | None) -> None:
            if answers is None:
                return

            def work(job: Job) -> str:
                made = engine.checkpoint(container.id, answers["name"], answers["message"])
                return f"checkpoint {made.name} of {container.name} taken · {exact_size(made.size)}"

            self.application.jobs.run(f"taking a checkpoint of {container.name}", work, cli=line(answers))

        taken = {row.raw for row in self.list.items}
        notes = ["Its files as they are now. Volumes and what is bound are not in it."]
        if container.is_up:
            notes.append("It stands still meanwhile, and goes on.")
        fields = [Field("name", "name", hint="the next number"), Field("message", "message", hint="what it is")]
        self.home.app.push_screen(
            FormDialog(
                f"Checkpoint of {container.name}", fields, "takes it", notes, cli=line,
                remark=lambda a: "there is one of that name" if a["name"] and a["name"] in taken else "",
            ),
            then,
        )  # fmt: skip

    def action_open(self) -> None:
        """Go back to it."""
        self.action_restore()

    def action_restore(self) -> None:
        """Take the container's files back, after saying what is lost."""
        chosen = self._chosen(also_now=True)
        if chosen is None:
            return
        container, row = chosen
        engine, told = self.application.engine, _Told()

        def line(answers: Chosen) -> str:
            back = shlex.join(("checkpoint", "restore", container.name, row.raw))
            first = f"checkpoint create {shlex.quote(container.name)}; pyctr-tui "
            return safe(first + back if answers["keep what is now first"] == "yes" else back)

        def lines(answers: Chosen) -> list[str]:
            kept = answers["keep what is now first"] == "yes"
            out = [f"{row.name}  {row.message}".rstrip(), ""]
            out += ["Nothing is lost: what is now becomes a checkpoint first."] if kept else told.lines()
            if container.is_up:
                out.append("It runs: it is stopped, and started again.")
            return [*out, "Volumes stay as they are."]

        def then(yes: bool | None) -> None:
            if not yes:
                return
            keep = dialog.chosen["keep what is now first"] == "yes"

            def work(job: Job) -> str:
                kept = f" · before it was {engine.checkpoint(container.id).name}" if keep else ""
                done = engine.restore(container.id, row.raw)
                again = ", and started again" if done.restarted else ""
                return f"{container.name} is back at {row.name}{again}{kept}"

            self.application.jobs.run(f"taking {container.name} back to {row.name}", work, cli=line(dialog.chosen))

        choice = Choice("t", "keep what is now first", ("no", "yes"))
        dialog = ConfirmDialog(f"Take {container.name} back to {row.name}?", lines, "go back", (choice,), line)
        self.home.app.push_screen(dialog, then)

        def answered(answer: Answer) -> None:
            told.take(answer)
            dialog.changed()

        self.application.details.call("since", lambda: engine.since(container.id, row.raw), answered)

    def action_branch(self) -> None:
        """A new container from it."""
        chosen = self._chosen(also_now=True)
        if chosen is None:
            return
        container, row = chosen
        engine = self.application.engine

        def line(answers: Answers) -> str:
            words = ("checkpoint", "branch", container.name, row.raw, *filter(None, (answers["name"],)))
            return safe(shlex.join(words))

        def then(answers: Answers | None) -> None:
            if answers is None:
                return

            def work(job: Job) -> Any:
                made = engine.branch(container.id, row.raw, answers["name"])
                return f"{made.name} made from {row.name} of {container.name} · not started"

            title = f"branching from {row.name} of {container.name}"
            self.application.jobs.run(title, work, cli=line(answers))

        self.home.app.push_screen(
            FormDialog(
                f"New container from {row.name}",
                [Field("name", "name", hint="a random one")],
                "makes it",
                [f"As {container.name} was then; its own from there on. It is not started."],
                cli=line,
            ),
            then,
        )

    def action_forget(self) -> None:
        """Remove it, after asking."""
        chosen = self._chosen()
        if chosen is None:
            return
        container, row = chosen
        engine = self.application.engine
        line = safe(shlex.join(("checkpoint", "rm", container.name, row.raw)))
        lines = [f"{row.name}  {row.message}".rstrip(), "", "There is no way back to it then."]
        if row.current:
            lines.append("The container goes on with what it is made of: nothing comes back.")
        else:
            lines.append(f"At most {exact_size(row.size)} come back: what others are made of stays.")
        lines.append(f"{container.name} and its other checkpoints stay as they are.")

        def then(yes: bool | None) -> None:
            if yes:
                self.application.jobs.run(
                    f"removing checkpoint {row.name} of {container.name}",
                    lambda job: engine.remove_checkpoint(container.id, row.raw),
                    f"checkpoint {row.name} of {container.name} removed",
                    line,
                )

        self.home.app.push_screen(ConfirmDialog(f"Remove checkpoint {row.name}?", lines, "remove", cli=line), then)

    def action_copy(self) -> None:
        """Copy the reference that `diff` and `run` take."""
        chosen = self._chosen()
        if chosen is not None:
            self.home.copy_text(f"{chosen[0].name}@{chosen[1].name}")


class _Told:
    """What going back would undo, once it is known."""

    def __init__(self) -> None:
        self.since: Since | None = None
        self.error = ""

    def take(self, answer: Answer) -> None:
        """The answer has come."""
        self.since, self.error = answer.value, safe(answer.error)

    def lines(self) -> list[str]:
        """What is lost."""
        if self.error:
            return [f"What is lost can't be said: {self.error}"]
        since = self.since
        if since is None:
            return ["Lost: all that changed since … counting"]
        if not since.added + since.changed + since.deleted:
            return ["Nothing changed since: nothing is lost."]
        lines = [f"Lost: {exact_size(since.bytes)} in {count(since.added + since.changed, 'path')} that came since."]
        lines += [f"  {safe(path)}" for path in since.paths[:4]]
        if since.deleted:
            lines.append(f"Back again: what was deleted since, {count(since.deleted, 'path')}.")
        return lines
