"""What is selected, and what has to be asked of the engine because of it.

Moving the cursor moves the cursor, no more, so that a held key runs smoothly; graphs and layers follow, and the
engine is asked, when it has come to rest.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from pyctr_tui import glyphs
from pyctr_tui.panes.charts import Subject
from pyctr_tui.panes.graphs import NOBODY
from pyctr_tui.panes.images import Uncommitted

if TYPE_CHECKING:
    from textual.timer import Timer

    from pyctr_tui.details import Answer
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.view import ChangeView, ContainerView, ImageView, LayerView

REST = 0.04
"""Seconds the cursor has to stand still before the other panes follow."""
PROCESSES_EVERY = 2.0
CHANGES_EVERY = 3.0
EFFORT = 20
"""Counting changes may take one part in so many of the time."""
REMEMBERED = 64
AT_ONCE = 8
"""Containers whose past is asked for in one question: others wait behind it."""
STRIP_MOST = 12
"""Containers merged into the log strip."""
LOGS_MOST = 128
"""Containers merged in the pane of logs."""


class Selection:
    """Keeps the panes that depend on the cursor up to date.

    Attributes:
        container: The container that actions mean; ``None`` on a stack's row or in an empty list.
        changes: What it changed, once that is known, of ``changes_of``.
    """

    def __init__(self, home: HomeScreen) -> None:
        self._home = home
        self._timer: Timer | None = None
        self._layers: OrderedDict[str, tuple[LayerView, ...]] = OrderedDict()
        self._by_image = False
        self._state = ""
        self._changes_due = 0.0
        self._processes_due = 0.0
        self._strip: tuple[tuple[str, str], ...] = ()
        self._remembered: set[str] = set()
        self.container: ContainerView | None = None
        self.changes: tuple[ChangeView, ...] | None = None
        self.changes_of = ""

    # -- what is selected ---------------------------------------------------------------------------------------

    @property
    def image(self) -> ImageView | None:
        """The image that actions mean, when the images were looked at last."""
        return self._home.images.selected if self._by_image else None

    @property
    def shows_image(self) -> bool:
        """Whether what has the focus is about an image: what is done to a container would be done out of sight."""
        return self._home.focus_name in ("images", "layers", "info") and self.image is not None

    @property
    def subject(self) -> Subject:
        """What the graphs show."""
        pane, store = self._home.containers, self._home.store
        if len(store.marks) > 1:
            ids = tuple(one.id for one in store.containers if one.id in store.marks)
            return Subject(f"{len(ids)} marked", ids)
        if (container := pane.container) is not None:
            return Subject(container.name, (container.id,))
        if (stack := pane.stack) is not None:
            name = stack.key.removeprefix("stack:")
            return Subject(stack.name, tuple(one.id for one in store.containers if one.stack == name))
        return NOBODY

    def moved(self, pane: object) -> None:
        """The cursor of a list stands elsewhere."""
        home = self._home
        if pane in (home.containers, home.images):
            self.container = home.containers.container
            if self._timer is not None:
                self._timer.stop()
            self._timer = home.set_timer(REST, self._rested) if home.is_mounted else None

    def _rested(self) -> None:
        self._timer = None
        self.refreshed()

    def shown(self) -> None:
        """Other panes came into sight: ask for what they show."""
        self._state = ""
        self.refreshed()

    def refreshed(self) -> None:
        """The store, the cursor or the focus changed."""
        home = self._home
        if home.focus_name in ("containers", "images"):
            self._by_image = home.focus_name == "images"
        self.container = home.containers.container
        subject = self.subject
        if subject != home.graphs.selected:
            home.graphs.show_subject(subject)
        if subject != home.peek.subject:
            home.peek.show_subject(subject)
        self._show_layers_subject()
        self._show_cli()
        container = self.container
        home.term.show_subject(container.id if container else "")
        name = self._info_name()
        logs, _ = self._of_logs()
        for pane in (home.diff, home.ps):
            pane.show_subject(container.name if container else "")
        home.info.show_subject(name)
        state = f"{container.id}{container.state}{container.started_at}" if container else ""
        state += f"/{name}/{home.focus_name}/{home.tab}/{hash((logs, self._of_strip()))}"
        if state != self._state and home.is_mounted:
            self._state = state
            self._ask()

    def _info_name(self) -> str:
        image = self.image
        if image is not None:
            return image.label
        return self.container.name if self.container else ""

    def _show_layers_subject(self) -> None:
        layers, image = self._home.layers_pane, self.image
        if image is not None:
            layers.show_changes(None)
            layers.show_subject(image.label, image.id)
        elif self.container is not None:
            layers.show_subject(self.container.label, self.container.image_id)
            self._show_uncommitted()
        else:
            layers.show_changes(None)
            layers.show_subject("", "")
        known = self._layers.get(layers.image_ref)
        if known is not None:
            layers.show_layers(known)

    def _show_uncommitted(self) -> None:
        assert self.container is not None
        known = self.changes if self.changes_of == self.container.id else None
        total = None if known is None else sum(change.size for change in known)
        self._home.layers_pane.show_changes(Uncommitted(total, 0 if known is None else len(known)))

    def _show_cli(self) -> None:
        home = self._home
        image = self.image
        if home.page is not None:
            cli = home.page.cli
        elif home.focus_name in ("images", "layers") and image is not None:
            cli = f"history {image.label}"
        elif self.container is not None:
            words = {"logs": "logs -f", "diff": "diff", "info": "inspect", "ps": "top", "term": "exec -it"}
            cli = f"{words.get(home.focus_name, 'stats')} {self.container.name}"
        else:
            cli = "ps -a"
        home.footer.show_keys(home.focus_name, cli, self.container is None or self.container.is_up)

    # -- asking -------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for what is in sight and not known."""
        home, container = self._home, self.container
        ask = home.application.details.ask
        ref = home.layers_pane.image_ref
        if ref and ref not in self._layers:
            ask("layers", ref)
        self._ask_for_the_past()
        if container is not None:
            self._changes_due = 0.0
            self._processes_due = 0.0
        if home.logs.shown:
            self._watch_logs()
        if home.info.shown:
            image = self.image
            if image is not None:
                ask("inspect_image", image.id)
            elif container is not None:
                ask("inspect", container.id)
        self._watch_strip()
        self.tick()

    def _ask_for_the_past(self) -> None:
        """Graphs open with what was recorded before; of one that has ended, with why."""
        home, container = self._home, self.container
        self._ask_for_more_of_it()
        if container is not None and container.has_ended and home.graphs.shown:
            home.application.details.ask("why", container.id)

    def _ask_for_more_of_it(self) -> bool:
        """Ask for what was recorded of some whose past isn't known; whether there are any."""
        unknown = [id for id in self.subject.ids if id not in self._remembered]
        if unknown:
            self._home.application.details.ask("history", " ".join(unknown[:AT_ONCE]))
        return bool(unknown)

    def tick(self) -> None:
        """Once a second: ask again for what changes by itself."""
        home, container = self._home, self.container
        home.top_line.repaint()
        if container is None:
            return
        now = time.monotonic()
        if now >= self._changes_due and (home.layers_pane.shown or home.diff.shown):
            self._changes_due = now + CHANGES_EVERY
            home.application.details.ask("changes", container.id)
        if now >= self._processes_due and home.ps.shown:
            self._processes_due = now + PROCESSES_EVERY
            if container.is_up:
                home.application.details.ask("processes", container.id)
            else:
                home.ps.show_processes(())

    def _watch_logs(self) -> None:
        """Follow the logs of the selected container, of its whole stack, or of all that are marked."""
        home = self._home
        ids, name = self._of_logs()
        members = [home.store.by_id[id] for id in ids[:LOGS_MOST] if id in home.store.by_id]
        if len(members) > 1:
            count = f"{len(members)} of {len(ids)}" if len(ids) > len(members) else str(len(members))
            name += "" if name.endswith("marked") else f" {glyphs.DOT} {count} containers"
        members.sort(key=lambda one: one.name)
        stacks = {one.stack for one in members}
        names = [one.label if len(stacks) == 1 else one.name for one in members]
        home.logs.watch_logs(tuple(zip((one.id for one in members), names, strict=True)), name)

    def _of_strip(self) -> tuple[str, ...]:
        """Whose newest lines are wanted: of the whole stack, always."""
        container = self.container
        if container is None or not container.stack:
            return self.subject.ids
        return tuple(one.id for one in self._home.store.containers if one.stack == container.stack)

    def _of_logs(self) -> tuple[tuple[str, ...], str]:
        """Whose logs are wanted, and what they are called together."""
        home, subject, container = self._home, self.subject, self.container
        if subject.is_one and container is not None and home.logs.whole_stack and container.stack:
            return tuple(one.id for one in home.store.containers if one.stack == container.stack), container.stack
        return subject.ids, subject.name

    def _watch_strip(self) -> None:
        """Follow the logs of the selected stack, or container, in the strip."""
        home = self._home
        if not home.log_strip.shown:
            watched: tuple[tuple[str, str], ...] = ()
        else:
            ids = self._of_strip()
            members = [home.store.by_id[id] for id in ids if id in home.store.by_id]
            watched = tuple((one.id, one.label) for one in members[:STRIP_MOST])
            about = self.container.stack or self.container.name if self.container else self.subject.name
            home.log_strip.show_subject(about, len(watched))
        if watched != self._strip:
            self._strip = watched
            home.application.log_reader.watch_strip(watched)

    # -- answers ------------------------------------------------------------------------------------------------

    def answered(self, answer: Answer) -> None:
        """Show an answer, if it is about what is still selected."""
        home, container = self._home, self.container
        if answer.kind == "history":
            home.store.keep(answer.value or {})
            self._remembered.update(answer.value or ())
            if answer.error or not self._ask_for_more_of_it():  # all at once: it is a lot to draw of a large stack
                home.graphs.known_more()
                home.peek.repaint()
        elif answer.kind == "why":
            home.graphs.show_why(answer.value)
        elif answer.kind == "layers":
            if answer.error:
                if answer.ref == home.layers_pane.image_ref:
                    home.layers_pane.show_layers((), answer.error)
                return
            self._layers[answer.ref] = answer.value
            while len(self._layers) > REMEMBERED:
                self._layers.popitem(last=False)
            if answer.ref == home.layers_pane.image_ref:
                home.layers_pane.show_layers(answer.value)
        elif answer.kind == "inspect_image":
            if self.image is not None and answer.ref == self.image.id:
                home.info.show_error(answer.error) if answer.error else home.info.show_object(answer.value)
        elif container is not None and answer.ref == container.id:
            self._about_container(answer)

    def _about_container(self, answer: Answer) -> None:
        home = self._home
        if answer.kind == "changes":
            self._changes_due = time.monotonic() + max(CHANGES_EVERY, EFFORT * answer.seconds)
            if answer.error:
                home.diff.show_error(answer.error)
                return
            self.changes, self.changes_of = answer.value, answer.ref
            home.diff.show_changes(answer.value)
            if self.image is None:
                self._show_uncommitted()
        elif answer.kind == "processes":
            home.ps.show_error(answer.error) if answer.error else home.ps.show_processes(answer.value)
        elif answer.kind == "inspect" and self.image is None:
            home.info.show_error(answer.error) if answer.error else home.info.show_object(answer.value)
