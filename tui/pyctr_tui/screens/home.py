"""The home screen: panes, keys, and what follows from moving the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.events import Key as KeyEvent
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.reactive import Reactive
from textual.screen import Screen

from pyctr_tui import pages
from pyctr_tui.actions.archives import ArchiveActions
from pyctr_tui.actions.containers import ContainerActions
from pyctr_tui.actions.custom import CustomActions
from pyctr_tui.actions.editing import EditingActions
from pyctr_tui.actions.images import ImageActions
from pyctr_tui.actions.lists import ListActions
from pyctr_tui.actions.logs import LogActions
from pyctr_tui.actions.making import MakingActions
from pyctr_tui.actions.menus import MenuActions
from pyctr_tui.actions.registries import RegistryActions
from pyctr_tui.actions.screen import ScreenActions
from pyctr_tui.actions.terminals import TerminalActions
from pyctr_tui.home_layout import LISTS, PANES, TABS, Wish, arrange, arrangement
from pyctr_tui.logs.query import Query
from pyctr_tui.panes.bars import Footer, TopLine
from pyctr_tui.panes.containers import ContainersPane
from pyctr_tui.panes.details import DiffPane, InfoPane, ProcessesPane
from pyctr_tui.panes.events import EventsPane
from pyctr_tui.panes.graphs import GraphsPane, PeekPane
from pyctr_tui.panes.images import ImagesPane, LayersPane
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.panes.log_strip import LogStrip
from pyctr_tui.panes.logs import LogsPane
from pyctr_tui.panes.tabbed import TabBar
from pyctr_tui.panes.term import TermPane
from pyctr_tui.panes.viewer import ViewerPane
from pyctr_tui.query import parse
from pyctr_tui.screens.prompt import Prompt
from pyctr_tui.screens.selection import Selection
from pyctr_tui.terminal.driver import arrange_again, laid_out_next
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.timer import Timer
    from textual.widget import Widget

    from pyctr_tui.application import Application
    from pyctr_tui.details import Answer
    from pyctr_tui.feed import Message
    from pyctr_tui.jobs import Job
    from pyctr_tui.keymap import Command
    from pyctr_tui.logs.news import Batch
    from pyctr_tui.pages.page import Page

NOTICE = 6.0
"""Seconds a notice stays, unless a key is pressed before."""


class HomeLayout(Layout):
    """Places the panes where `home_layout.arrange` says; the others are not shown."""

    name = "home"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> list[WidgetPlacement]:
        """Textual calls this when the size or the wish has changed."""
        assert isinstance(parent, HomeScreen)
        regions = parent.regions(size.width, size.height)
        return [
            WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id is not None and (region := regions.get(child.id)) is not None
        ]


class HomeScreen(Screen[None], inherit_bindings=False):
    """All panes, always mounted; the layout shows those there is room for.

    Attributes:
        moment: Of what was looked at when a page was opened; ``None``: now.
    """

    CSS = "HomeScreen { overflow: hidden hidden; }"
    AUTO_FOCUS = "#containers"
    ALLOW_SELECT = False
    virtual_size = Reactive(Size(0, 0))  # see `Pane`

    def __init__(self, application: Application) -> None:
        super().__init__(id="home")
        self.application = application
        store = self.store = application.store
        self.focus_name = "containers"
        self.tab = "graphs"
        self.zoomed = False
        self.leaving = False
        self.share = 0
        self.containers = ContainersPane(store)
        self.images = ImagesPane(store)
        self.layers_pane = LayersPane()
        self.graphs = GraphsPane(store)
        self.logs = LogsPane(application.log_reader, store)
        self.diff = DiffPane(store)
        self.info = InfoPane(store)
        self.ps = ProcessesPane(store)
        self.term = TermPane(application)
        self.top_line = TopLine(store)
        self.tab_bar = TabBar()
        self.peek = PeekPane(store)
        self.events_strip = EventsPane(store)
        self.log_strip = LogStrip()
        self.footer = Footer(application.keymap)
        self.selection = Selection(self)
        self.prompt = Prompt(self)
        self.lists = ListActions(self)
        self.screen_actions = ScreenActions(self)
        self.terminal_actions = TerminalActions(self)
        self.page: Page | None = None
        self._pages: dict[str, Page] = {}
        self.graphs.cursor_moved = self._cursor_moved
        self.moment: float | None = None
        self._handlers = (
            self,
            ContainerActions(self),
            EditingActions(self),
            MakingActions(self),
            ImageActions(self),
            ArchiveActions(self),
            RegistryActions(self),
            self.lists,
            self.screen_actions,
            self.terminal_actions,
            CustomActions(self),
            MenuActions(self),
            LogActions(self),
        )
        self._layout = HomeLayout()
        self._notice_timer: Timer | None = None
        self._shape: tuple[object, ...] = ()
        self._drawn = False

    @property
    def layout(self) -> Layout:
        """Ours."""
        return self._layout

    def compose(self) -> ComposeResult:
        """All panes."""
        yield from (self.top_line, self.tab_bar, self.containers, self.images, self.layers_pane, self.peek)
        yield from (self.graphs, self.logs, self.diff, self.info, self.ps, self.term)
        yield from (self.events_strip, self.log_strip, self.footer)

    def on_mount(self) -> None:
        """Show what is known by now, and look regularly at what has to be asked for."""
        self.application.catch_up()
        self.rearrange()
        self.call_after_refresh(self._is_drawn)
        self.set_interval(1.0, self.selection.tick)

    def _is_drawn(self) -> None:
        self._drawn = True

    # -- layout -------------------------------------------------------------------------------------------------

    def wish(self) -> Wish:
        """What is asked of the layout now."""
        return Wish(
            tab=self.tab,
            focus=self.focus_name,
            zoom=self.zoomed,
            containers=len(self.containers.items) + 1,
            images=max(len(self.images.items), 8) + 1,
            events=len(self.store.events),
            share=self.share,
        )

    def regions(self, width: int, height: int) -> dict[str, Region]:
        """Where each pane stands: the page's panes in the body when there is one, else home's."""
        regions = arrange(width, height, self.wish())
        if self.page is None:
            return regions
        body = self.page.arrange(width, max(height - 2, 1))
        moved = {name: Region(region.x, region.y + 1, region.width, region.height) for name, region in body.items()}
        return {"top": regions["top"], "foot": regions["foot"], **moved}

    def rearrange(self) -> None:
        """Place the panes anew if the size, the focus or the lists' lengths ask for it."""
        size = self.size or self.app.size
        if not size:
            return
        regions = self.regions(size.width, size.height)
        shape = (size, tuple(sorted(regions.items())))
        if shape == self._shape:
            return
        self._shape = shape
        framed = arrangement(size.width, size.height) != "single"
        for pane in self.query_children(Pane):
            pane.shown = pane.id in regions
            if pane.id in PANES:
                pane.framed = framed
        self.tab_bar.show_active(self.focus_name if self.focus_name in PANES else self.tab)
        # At the beginning nothing has been placed yet, and each pane paints itself when it gets its size.
        if self.size:
            arrange_again(self)
            self.call_after_refresh(self.repaint_all)
        self.selection.shown()

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size, or all has to be drawn anew, as when a shell has had it.

        At the beginning this comes three times, and the layout that follows from it is the first.
        """
        if self._drawn:
            self._shape = ()
        else:
            laid_out_next(self)
        self.rearrange()

    def repaint_all(self) -> None:
        """Paint every pane that is shown."""
        for pane in self.query_children(Pane):
            pane.repaint()

    def pane_of(self, name: str) -> Pane:
        """A pane by its name."""
        found = self.get_child_by_id(name)
        assert isinstance(found, Pane)
        return found

    # -- what comes from the threads ----------------------------------------------------------------------------

    def deliver(self, messages: Sequence[Message]) -> None:
        """Take what the feed found and show what changed."""
        for message in messages:
            self.store.apply(message)
        self.containers.update_rows()
        self.images.update_rows()
        self.rearrange()
        self.selection.refreshed()
        self.application.credit.paint((self.top_line, self.graphs, self.peek, self.events_strip, self.term))
        if self.page is not None:
            self.page.refreshed()
        if self.store.error:
            self.notify_line(self.store.error, "bad")

    def answered(self, answer: Answer) -> None:
        """Take an answer about what is selected."""
        self.selection.answered(answer)

    def log_batch(self, batch: Batch) -> None:
        """Take lines for the log pane."""
        self.logs.take(batch)

    def notify_line(self, text: str, tone: str = "text", seconds: float = NOTICE) -> None:
        """Say something in the last line, for a while."""
        self.footer.show_notice(text, tone)
        if self._notice_timer is not None:
            self._notice_timer.stop()
            self._notice_timer = None
        if text and seconds:
            self._notice_timer = self.set_timer(seconds, lambda: self.footer.show_notice(""))

    # -- keys ---------------------------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """Look the key up for the focused pane and do what it says."""
        if (over := self.app.screen) is not self:  # typed ahead, before the key that opened the dialog was handled
            event.stop()
            over.post_message(KeyEvent(event.key, event.character))
            return
        if self.prompt.is_open:
            event.stop()
            if not self.application.suspends(event.key, event.character):
                self.prompt.key(event.key, event.character)
            return
        if self.focus_name == "term" and self.term.mode:  # typed ahead, before the focus has arrived there
            await self.term.on_key(event)
            return
        command = self.application.keymap.lookup(self.focus_name, event.key)
        if command is None and event.key.startswith("alt+"):  # Esc and a key, typed quickly
            await self.on_key(KeyEvent("escape", "\x1b"))
            await self.on_key(KeyEvent(event.key.removeprefix("alt+"), event.character))
            return
        if command is None and event.character is not None:
            command = self.application.keymap.lookup(self.focus_name, event.character)
        if command is None:
            if event.key == "ctrl+c":
                self.notify_line(f"{self.application.keymap.key_of('quit')} quits · containers go on")
            return
        event.stop()
        event.prevent_default()
        self.do(command)

    def do(self, command: Command) -> None:
        """Do what a command says."""
        if self.footer.notice is not None:
            self.footer.show_notice("")
        name, _, argument = command.action.partition(" ")
        method = self.handler(name)
        method(argument) if argument else method()
        self.application.configured.look()

    def handler(self, name: str) -> Any:
        """Who does an action here: the focused pane, the page, this screen, or the actions. Raises LookupError."""
        for owner in (self.pane_of(self.focus_name), self.page, *self._handlers):
            method = getattr(owner, f"action_{name}", None)
            if method is not None:
                return method
        raise LookupError(name)

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the line being typed."""
        self.prompt.paste(event.text)

    # -- focus --------------------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A pane was focused, by key or by mouse."""
        # Events of two panes overtake each other; what counts is who has the focus now.
        pane = self.focused
        if pane is None or pane.id == self.focus_name:
            return
        if pane.id in PANES or (self.page is not None and pane in self.page.panes):
            self._focused(str(pane.id))

    def _focused(self, name: str) -> None:
        self.focus_name = name
        if name in TABS:
            self.tab = name
        self.rearrange()
        self.selection.refreshed()

    def go_to(self, pane: Pane) -> None:
        """Focus a pane that is shown. Keys typed from now on are its own: Textual's focus comes later."""
        self._focused(str(pane.id))
        pane.focus(scroll_visible=False)

    def action_pane(self, name: str) -> None:
        """Go to a pane of home's, leaving the page if there is one."""
        self.page = None
        self.go_to(self.pane_of(name))
        if name == "logs" and self.graphs.cursor is not None and not self.graphs.subject.is_host:
            self.logs.seek(self.graphs.cursor)

    def _cursor_moved(self, second: int | None) -> None:
        """The strips go where the cursor of the graphs is."""
        until = None if second is None else second + 1.0
        self.events_strip.show_until(until)
        self.application.log_reader.strip_until(until)

    def _moment_looked_at(self) -> float | None:
        """Of the lines in sight when the log is read; else of the graphs' cursor. ``None``: now."""
        if self.focus_name == "logs":
            return None if self.logs.following else self.logs.moment_in_sight() or None
        return self.graphs.cursor

    def go_to_moment(self, moment: float) -> None:
        """The graphs of what is selected, with the cursor at a moment."""
        self.action_pane("graphs")
        self.graphs.put_cursor(int(moment))

    def action_view(self, name: str) -> None:
        """Go to a page; the key that opened it closes it again."""
        if self.page is not None and self.page is self._pages.get(name):
            self.leave_page()
            return
        if self.page is None:
            self.moment = self._moment_looked_at()
        if name not in self._pages:
            page = self._pages[name] = pages.make(name, self)
            self.mount_all(page.panes, before=self.footer)
        page = self.page = self._pages[name]
        self.focus_name = str(page.panes[0].id)
        self.rearrange()
        page.panes[0].focus(scroll_visible=False)
        page.opened()
        self.selection.refreshed()

    def leave_page(self) -> None:
        """Back to home's panes."""
        self.action_pane("containers")

    def action_next_pane(self, by: int = 1) -> None:
        """Go to the next pane that is shown; on a small terminal to the next there is."""
        if self.page is not None:
            ids = self.page.ring()
            at = ids.index(self.focus_name) if self.focus_name in ids else 0
            self.go_to(self.pane_of(ids[(at + by) % len(ids)]))
            return
        size = self.app.size
        single = arrangement(size.width, size.height) == "single" or self.zoomed
        ring = PANES if single else (*LISTS, self.tab)
        here = ring.index(self.focus_name) if self.focus_name in ring else 0
        self.action_pane(ring[(here + by) % len(ring)])

    def action_previous_pane(self) -> None:
        """Go to the pane before."""
        self.action_next_pane(-1)

    def action_back(self) -> None:
        """Undo the nearest thing: zoom, search, filter, marks; then go back to the containers."""
        pane = self.pane_of(self.focus_name)
        if isinstance(pane, ListPane) and pane.filtering.text and (self.page is not None or not self.zoomed):
            pane.filter_by("")
        elif self.page is not None:
            if not self.page.back():
                self.leave_page()
        elif self.zoomed:
            self.action_zoom()
        elif self.focus_name == "logs" and self.logs.busy is not None:
            self.logs.give_up()
        elif self.focus_name == "logs" and self.logs.needle:
            self.logs.search("")
        elif self.focus_name == "logs" and self.logs.only:
            self.logs.show_only(Query(), "")
        elif self.store.query.text or self.store.running_only:
            self.store.query, self.store.running_only = parse(""), False
            self.containers.update_rows()
        elif self.store.marks and self.focus_name == "containers":
            self.store.marks.clear()
            self.containers.repaint()
        elif self.store.image_marks and self.focus_name == "images":
            self.store.image_marks.clear()
            self.images.repaint()
        elif self.focus_name != "containers":
            self.action_pane("containers")

    def action_zoom(self) -> None:
        """Give the focused pane the whole body, or take it back."""
        self.zoomed = not self.zoomed
        self.rearrange()

    def action_grow(self, by: str) -> None:
        """Stretch the graphs' time, or move the border between left and right."""
        if self.focus_name == "graphs":
            self.graphs.stretch(int(by))
        else:
            self.share = max(-3, min(4, self.share + int(by)))
            self.rearrange()

    # -- moving in a pane ---------------------------------------------------------------------------------------

    def action_move(self, by: str) -> None:
        """Move the cursor, or scroll."""
        self._scroll(int(by))

    def action_page(self, pages: str) -> None:
        """Move by pages or halves."""
        pane = self.pane_of(self.focus_name)
        lines = pane.page if isinstance(pane, ListPane) else max(1, pane.inner_size[1] - 2)
        by = float(pages) * lines
        self._scroll(max(1, round(by)) if by > 0 else min(-1, round(by)))

    def action_first(self) -> None:
        """To the first line."""
        if self.focus_name == "logs":
            self.logs.to_start()
        else:
            self._scroll(-(1 << 30))

    def action_last(self) -> None:
        """To the last line."""
        if self.focus_name == "logs":
            self.logs.follow()
        else:
            self._scroll(1 << 30)

    def _scroll(self, by: int) -> None:
        pane = self.pane_of(self.focus_name)
        if isinstance(pane, ListPane):
            pane.move(by)
        elif isinstance(pane, LogsPane):
            pane.scroll_lines(by)
        elif isinstance(pane, ViewerPane):
            pane.move(by)
        elif abs(by) == 1 and self.focus_name in ("graphs", "term"):
            self.containers.move(by)  # the pane has no lines of its own: look at the next container

    def action_shift(self, by: str) -> None:
        """Show columns further right or left."""
        pane = self.logs if self.focus_name == "logs" else self.info
        pane.shift(int(by))

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        """The cursor stands on another item."""
        message.stop()
        if self.page is not None and message.pane in self.page.panes:
            self.page.moved(message.pane)
        else:
            self.selection.moved(message.pane)

    def on_list_pane_opened(self, message: ListPane.Opened) -> None:
        """An item was chosen by the mouse."""
        message.stop()
        self.handler("open")()

    def action_open(self) -> None:
        """Open what is selected: a stack's rows, a container's graphs, an image's layers, a moment's logs."""
        if self.focus_name == "containers":
            if (stack := self.containers.stack) is not None:
                self.lists.fold(not stack.open)
            else:
                self.action_pane(
                    "logs" if self.containers.container and not self.containers.container.is_up else self.tab
                )
        elif self.focus_name == "images":
            self.action_pane("layers")
        elif self.focus_name == "layers":
            self.action_view("explorer")
        elif self.focus_name == "term":
            self.handler("exec")()
        elif self.focus_name == "graphs" and self.graphs.cursor is not None:
            self.action_pane("logs")
        elif self.focus_name == "logs" and (moment := self.logs.moment_in_sight()):
            self.go_to_moment(moment)

    def show_image(self, image_id: str, patience: int = 40, go: bool = True) -> None:
        """Select an image that is about to appear, and go there if ``go``."""
        if self.images.select(image_id):
            if go:
                self.action_pane("images")
        elif patience:
            self.application.feed.refresh(images=True)
            self.set_timer(0.05, lambda: self.show_image(image_id, patience - 1, go))

    def show_container(self, id: str, patience: int = 40) -> None:
        """Select a container that is about to appear."""
        if id in self.store.by_id:
            self.store.closed.discard(self.store.by_id[id].stack)
            self.containers.update_rows()
            self.containers.select(id)
            if self.page is None:
                self.action_pane("containers")
        elif patience:
            self.application.feed.refresh()
            self.set_timer(0.05, lambda: self.show_container(id, patience - 1))

    def show_theme(self, name: str) -> None:
        """Change to a theme, and say so."""
        self.notify_line(f"theme {self.application.choose_theme(name)}")

    def copy_text(self, text: str) -> None:
        """Copy to the terminal's clipboard (OSC 52), and say so."""
        self.app.copy_to_clipboard(text)
        self.notify_line(f"copied: {text}", "good")

    def job_changed(self, job: Job) -> None:
        """Say what is being done, and then what came of it."""
        running = list(self.application.jobs.running)
        newest = running[0] if running else None
        cancels = self.application.keymap.key_of("cancel_newest") if newest is not None and newest.cancellable else ""
        self.footer.show_job(newest.title if newest else "", newest.figures() if newest else "", cancels)
        if len(running) != self.top_line.jobs:
            self.top_line.jobs = len(running)
            self.top_line.repaint()
        if job.state == "running":
            pass  # the footer shows it beside the keys
        elif job.state == "failed":
            self.notify_line(job.said, "bad", 12.0)
        else:
            self.notify_line(job.said, "good" if job.state == "done" else "warn")
        if self.page is not None:
            self.page.job_changed(job)
        dialog = self.app.screen
        if dialog is not self and hasattr(dialog, "job_changed"):
            dialog.job_changed(job)
        if self.leaving and not running:
            self.application.leave()

    # -- typing and the log -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type a filter; the list follows."""
        pane = self.pane_of(self.focus_name)
        if not isinstance(pane, ListPane):
            pane = self.containers
            self.action_pane("containers")
        self.prompt.filter(pane)

    def action_next_match(self, backwards: bool = True) -> None:
        """The next older match in the log; in the list the next row."""
        if self.focus_name == "logs":
            self.logs.search(self.logs.needle, backwards, again=True)
        elif isinstance(pane := self.pane_of(self.focus_name), ListPane):
            pane.move(1 if backwards else -1)

    def action_previous_match(self) -> None:
        """The next newer match."""
        self.action_next_match(backwards=False)
