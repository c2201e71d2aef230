"""Stacks: what each is made of and uses, and what `up` would do to it now; brought up, taken down, edited."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment

from pyctr_engine.errors import EngineError, InvalidStack
from pyctr_engine.model.stack import Action
from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.actions.stacks import StackActions
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.figures import count, percent, size
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane, Orders
from pyctr_tui.panes.plan import draw_action
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap

if TYPE_CHECKING:
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.settings.table import Object
    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView
    from pyctr_tui.widgets.pane import Pane

LOOK_EVERY = 2
"""Snapshots between two looks at whether the selected stack's file has changed."""


@dataclass(frozen=True, slots=True)
class StackView:
    """One stack: ``ref`` and ``path`` as the engine takes them, ``shown`` the path made harmless."""

    ref: str
    name: str
    path: str
    shown: str
    up: int
    total: int
    services: int
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stack's file says: actions and warnings, or why it can't be read."""

    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""


class StacksPane(ListPane[StackView]):
    """All stacks."""

    orders: ClassVar[Orders] = {
        "name": None,
        "cpu": lambda stack: -stack.cpu,
        "mem": lambda stack: -stack.memory,
        "up": lambda stack: (-stack.up, -stack.total),
        "services": lambda stack: -stack.services,
    }

    def __init__(self) -> None:
        super().__init__(id="stacks")
        self.loaded = False

    def key(self, item: StackView) -> str:
        """Its name."""
        return item.ref

    def title(self) -> Line:
        """How many there are."""
        style = self.palette.strong if self.has_focus else self.palette.dim
        return [Segment(f"Stacks {glyphs.DOT} {len(self.whole)}", style)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [gap(3), cells("NAME", max(width - 32, 8), dim), cells("UP", 8, dim, right=True),
                cells("SERVICES", 9, dim, right=True), cells("CPU", 5, dim, right=True),
                cells("MEM", 6, dim, right=True), gap(1)]  # fmt: skip

    def draw(self, item: StackView, width: int) -> Line:
        """One stack with its totals."""
        palette = self.palette
        whole = item.up == item.total and item.total > 0
        tone = palette.good if whole else palette.warn if item.up else palette.dim
        used = item.up > 0
        share = percent(item.cpu * 100) if used else glyphs.DASH
        memory = size(item.memory) if used else glyphs.DASH
        figure = palette.text if used else palette.faint
        return [
            gap(1),
            Segment(f"{glyphs.RUNNING if whole else glyphs.PAUSED if item.up else glyphs.EXITED} ", tone),
            cells(item.name, max(width - 32, 8), palette.strong if item.up else palette.text),
            cells(f"{item.up}/{item.total}", 8, palette.dim if whole else tone, right=True),
            cells(str(item.services or glyphs.DASH), 9, palette.dim, right=True),
            cells(share, 5, figure, right=True),
            cells(memory, 6, figure, right=True),
            gap(1),
        ]

    def empty(self, width: int) -> list[Line]:
        """How to get one."""
        if not self.loaded:
            return [[gap(3), Segment(f"reading {glyphs.ELLIPSIS}", self.palette.faint)]]
        key, text = Segment("N", self.palette.accent), Segment(" brings one up from its file", self.palette.dim)
        return [[gap(3), Segment("no stacks yet", self.palette.text)], [], [gap(3), key, text]]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A line of the plan pane: an action, or a text in a tone."""

    number: int
    action: Action | None = None
    text: str = ""
    tone: str = "text"


class PlanPane(ListPane[PlanRow]):
    """What `up` would do, like a diff."""

    has_header = False

    def __init__(self) -> None:
        super().__init__(id="plan")
        self.subject = ""
        self.path = ""
        self.plan = Plan()
        self.waiting = False

    def key(self, item: PlanRow) -> str:
        """Its place."""
        return str(item.number)

    def show_plan(self, plan: Plan) -> None:
        """Show this."""
        self.plan, self.waiting = plan, False
        rows = [PlanRow(at, action) for at, action in enumerate(plan.actions)]
        texts: list[tuple[str, str]] = []
        if plan.error:
            texts = [(plan.error, "bad"), (plan.hint, "dim")]
        elif plan.warnings:
            texts = [("", "text"), *((f"{glyphs.WARNING} {text}", "warn") for text in plan.warnings)]
        rows += [PlanRow(len(rows) + at, None, text, tone) for at, (text, tone) in enumerate(texts)]
        self.show(rows)

    def title(self) -> Line:
        """Of which stack, and how much would change."""
        palette = self.palette
        line = [Segment(f"Plan of {self.subject}" if self.subject else "Plan",
                        palette.strong if self.has_focus else palette.dim)]  # fmt: skip
        changes = sum(action.kind != "keep" for action in self.plan.actions)
        if changes:
            line.append(Segment(f" {glyphs.DOT} {count(changes, 'change')}", palette.warn))
        elif self.plan.actions:
            line.append(Segment(f" {glyphs.DOT} as the file says", palette.good))
        return line

    def subtitle(self) -> Line:
        """Its file."""
        return [Segment(self.path, self.palette.dim)] if self.path else []

    def draw(self, item: PlanRow, width: int) -> Line:
        """An action or a text."""
        if item.action is not None:
            return draw_action(item.action, width, self.palette)
        return [gap(1), cells(item.text, max(width - 2, 1), getattr(self.palette, item.tone))]

    def empty(self, width: int) -> list[Line]:
        """Why there is no plan."""
        text = f"reading {glyphs.ELLIPSIS}" if self.waiting else "its file is not known" if self.subject else ""
        return [[gap(1), Segment(text, self.palette.dim)]]


class StacksPage(Page):
    """Stacks at the left, the plan of the selected one at the right."""

    cli = "stack ls"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.stacks, self.plan = StacksPane(), PlanPane()
        self.panes = (self.stacks, self.plan)
        self._paths: dict[str, str] = {}
        self._services: dict[str, int] = {}
        self._stamp: tuple[object, ...] = ()
        self._looks = 0
        self._do = StackActions(home)

    def custom_object(self) -> tuple[str, Object]:
        """The selected stack."""
        return (self.stacks.selected.ref if self.stacks.selected else "", "stack")

    def opened(self) -> None:
        """Ask which stacks there are."""
        engine = self.application.engine
        self.application.details.call("stacks", engine.stacks, self._listed)

    def _listed(self, answer: Answer) -> None:
        self.stacks.loaded = True
        if answer.error:
            self.home.notify_line(answer.error, "bad", 12.0)
            return
        self._paths = {stack.name: stack.path for stack in answer.value}
        self._update()

    def refreshed(self) -> None:
        """Containers changed: totals, and now and then the plan."""
        self._update()
        self._looks += 1
        if self._looks % LOOK_EVERY == 0:
            self._ask_for_the_plan()

    def _update(self) -> None:
        self.stacks.show(views(self.store, self._paths, self._services))
        self._ask_for_the_plan()

    def moved(self, pane: Pane) -> None:
        """Another stack: another plan."""
        if pane is self.stacks:
            self._stamp = ()
            self._ask_for_the_plan()

    def job_changed(self, job: Job) -> None:
        """What was done may have changed which stacks there are."""
        if job.state != "running":
            self.opened()

    # -- the plan -----------------------------------------------------------------------------------------------

    def _ask_for_the_plan(self) -> None:
        stack = self.stacks.selected
        if stack is None:
            self.plan.subject = self.plan.path = ""
            self.plan.show_plan(Plan())
            return
        members = tuple((one.id, one.state) for one in self.store.containers if one.stack == stack.name)
        try:
            written = os.stat(stack.path).st_mtime_ns if stack.path else 0
        except (OSError, ValueError):  # a label may say anything: a path with NUL is none
            written = -1
        stamp = (stack.ref, written, members)
        if stamp == self._stamp:
            return
        if not self._stamp or self._stamp[0] != stack.ref:
            self.plan.subject, self.plan.path, self.plan.waiting = stack.name, stack.shown, bool(stack.path)
            self.plan.show(())
            self.plan.plan = Plan()
        self._stamp = stamp
        if not stack.path:
            self.plan.waiting = False
            self.plan.repaint()
            return
        engine = self.application.engine

        def read() -> tuple[Plan, int]:
            try:
                loaded = engine.load_stack(stack.path, stack.ref)
            except (InvalidStack, EngineError) as error:
                return Plan(error=safe(error.message), hint=safe(error.hint)), 0
            return Plan(
                tuple(engine.plan(loaded)),
                tuple(safe(text.removeprefix(f"{stack.path}:")) for text in loaded.warnings),
            ), len(loaded.services)

        self.application.details.call("plan", read, self._planned, stack.ref)

    def _planned(self, answer: Answer) -> None:
        stack = self.stacks.selected
        if stack is None or stack.ref != answer.ref:
            return
        plan, services = answer.value if answer.value else (Plan(error=answer.error), 0)
        self._services[stack.ref] = services
        self.plan.show_plan(plan)
        self.stacks.show(views(self.store, self._paths, self._services))

    # -- keys ---------------------------------------------------------------------------------------------------

    def _selected(self) -> StackView | None:
        stack = self.stacks.selected
        if stack is None:
            self.home.notify_line("there is no stack here yet · N brings one up from its file", "warn")
        return stack

    def action_open(self) -> None:
        """Go to its containers on home."""
        self._go("containers")

    def _go(self, pane: str) -> None:
        stack = self._selected()
        if stack is None:
            return
        if self.home.lists.reveal(f"stack:{stack.name}"):
            self.home.action_pane("containers")  # what is looked at is no image any more
            self.home.action_pane(pane)
        else:
            self.home.notify_line(f"{stack.name} has no containers · u brings it up", "warn")

    def action_up(self) -> None:
        """Make it so, after asking when something is replaced or goes."""
        stack = self._selected()
        if stack is None:
            return
        plan = self.plan.plan
        if not stack.path or plan.error:
            self.home.notify_line(plan.error or f"the file of {stack.name} is not known", "bad")
            return
        changes = [action for action in plan.actions if action.kind != "keep"]
        if not changes:
            self.home.notify_line(f"{stack.name} is as its file says", "good")
            return
        self._do.up_asking(stack.path, stack.ref, changes)

    def action_down(self) -> None:
        """Stop and remove it, after saying what goes."""
        stack = self._selected()
        if stack is None:
            return
        self._do.down([stack.ref])

    def action_start_stop(self) -> None:
        """Stop those that run; start all when none does."""
        stack = self._selected()
        if stack is None:
            return
        self._do.start_stop(stack.ref, self._members(stack))

    def action_restart(self) -> None:
        """Stop and start all of it."""
        stack = self._selected()
        if stack is not None:
            self._do.restart(stack.ref, self._members(stack))

    def action_pull_stack(self) -> None:
        """Pull its images."""
        stack = self._selected()
        if stack is not None and stack.path:
            self._do.pull(stack.path, stack.ref)

    def action_edit_stack(self) -> None:
        """Edit its file."""
        from pyctr_tui.screens.editor import edit

        stack = self._selected()
        if stack is not None and stack.path:
            edit(self.application, stack.path, stack.ref)

    def action_new_stack(self) -> None:
        """Bring one up from its file, after asking when something that there is is replaced or goes."""
        field = Field("path", "file", "", "a stack file, or a directory with a compose.yaml", needed=True)
        name = Field("name", "name", "", "the file's own, or the directory's")
        form = FormDialog(
            "Bring up a stack", (field, name), "brings it up",
            cli=lambda found: f"up{' -p ' + safe(found['name']) if found['name'] else ''} {safe(found['path'])}",
        )  # fmt: skip

        def answered(found: Answers | None) -> None:
            if found is not None:
                self._do.plan_up(os.path.expanduser(found["path"]), found["name"])

        self.home.app.push_screen(form, answered)

    def action_show_logs(self) -> None:
        """Its logs, on home."""
        self._go("logs")

    # -- what they share ----------------------------------------------------------------------------------------

    def _members(self, stack: StackView) -> list[ContainerView]:
        return [one for one in self.store.containers if one.stack == stack.name]


def views(store: Store, paths: dict[str, str], services: dict[str, int]) -> list[StackView]:
    """All stacks that are remembered or have containers, by name."""
    safe_names = {safe(name): name for name in paths}
    names = sorted({*safe_names, *(one.stack for one in store.containers if one.stack)})
    found = []
    for name in names:
        members = [one for one in store.containers if one.stack == name]
        used = [store.samples[one.id] for one in members if one.id in store.samples]
        ref = safe_names.get(name, name)
        path = paths.get(ref, "")
        found.append(
            StackView(
                ref=ref,
                name=name,
                path=path,
                shown=safe(path),
                up=sum(one.is_up for one in members),
                total=len(members),
                services=services.get(ref, 0) or len({one.service for one in members}),
                cpu=sum(sample.cpu for sample in used),
                memory=sum(sample.memory for sample in used),
            )
        )
    return found
