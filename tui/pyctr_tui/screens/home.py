"""The home screen: panes, keys, and what follows from moving the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Size
from textual.layout import Layout, WidgetPlacement
from textual.screen import Screen

from pyctr_tui.home_layout import LISTS, PANES, TABS, Wish, arrange, arrangement
from pyctr_tui.panes.bars import Footer, TopLine
from pyctr_tui.panes.containers import ContainersPane
from pyctr_tui.panes.details import DiffPane, InfoPane, ProcessesPane, TermPane
from pyctr_tui.panes.events import EventsPane
from pyctr_tui.panes.graphs import GraphsPane, PeekPane
from pyctr_tui.panes.images import ImagesPane, LayersPane
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.panes.logs import LogsPane, LogStrip
from pyctr_tui.panes.tabbed import TabBar
from pyctr_tui.query import parse
from pyctr_tui.screens.actions import Actions
from pyctr_tui.screens.prompt import Prompt
from pyctr_tui.screens.selection import Selection
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.timer import Timer
    from textual.widget import Widget

    from pyctr_tui.application import Application
    from pyctr_tui.details import Answer
    from pyctr_tui.feed import Message
    from pyctr_tui.keymap import Command
    from pyctr_tui.logs.reader import Batch

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
        regions = arrange(size.width, size.height, parent.wish())
        return [
            WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id is not None and (region := regions.get(child.id)) is not None
        ]


class HomeScreen(Screen[None], inherit_bindings=False):
    """All panes, always mounted; the layout shows those there is room for."""

    CSS = "HomeScreen { overflow: hidden hidden; }"
    AUTO_FOCUS = "#containers"
    ALLOW_SELECT = False

    def __init__(self, application: Application) -> None:
        super().__init__(id="home")
        self.application = application
        store = self.store = application.store
        self.focus_name = "containers"
        self.tab = "graphs"
        self.zoomed = False
        self.share = 0
        self.containers = ContainersPane(store)
        self.images = ImagesPane(store)
        self.layers_pane = LayersPane()
        self.graphs = GraphsPane(store)
        self.logs = LogsPane(application.log_reader)
        self.diff = DiffPane(store)
        self.info = InfoPane(store)
        self.ps = ProcessesPane(store)
        self.term = TermPane(store)
        self.top_line = TopLine(store)
        self.tab_bar = TabBar()
        self.peek = PeekPane(store)
        self.events_strip = EventsPane(store)
        self.log_strip = LogStrip()
        self.footer = Footer(application.keymap)
        self.selection = Selection(self)
        self.prompt = Prompt(self)
        self.actions = Actions(self)
        self._layout = HomeLayout()
        self._notice_timer: Timer | None = None
        self._shape: tuple[object, ...] = ()

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
        """Look regularly at what has to be asked for."""
        self.rearrange()
        self.set_interval(1.0, self.selection.tick)

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

    def rearrange(self) -> None:
        """Place the panes anew if the size, the focus or the lists' lengths ask for it."""
        size = self.size or self.app.size
        wish = self.wish()
        if not size:
            return
        regions = arrange(size.width, size.height, wish)
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
        arrange_again(self)
        self.call_after_refresh(self.repaint_all)
        self.selection.shown()

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size."""
        self._shape = ()
        self.rearrange()

    def repaint_all(self) -> None:
        """Paint every pane that is shown."""
        for pane in self.query_children(Pane):
            pane.repaint()

    def is_shown(self, name: str) -> bool:
        """Whether a pane is on the screen."""
        return self.pane_of(name).shown

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
        for pane in (self.top_line, self.graphs, self.peek, self.events_strip, self.term):
            pane.repaint()
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
        if self.prompt.is_open:
            event.stop()
            self.prompt.key(event.key, event.character)
            return
        command = self.application.keymap.lookup(self.focus_name, event.key)
        if command is None and event.character is not None:
            command = self.application.keymap.lookup(self.focus_name, event.character)
        if command is None:
            if event.key == "ctrl+c":
                self.notify_line("q quits · containers go on")
            return
        event.stop()
        event.prevent_default()
        self.do(command)

    def do(self, command: Command) -> None:
        """Do what a command says."""
        if self.footer.notice is not None:
            self.footer.show_notice("")
        name, _, argument = command.action.partition(" ")
        method: Any = getattr(self, f"action_{name}", None) or getattr(self.actions, name)
        method(argument) if argument else method()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the line being typed."""
        self.prompt.paste(event.text)

    # -- focus --------------------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A pane was focused, by key or by mouse."""
        name = event.widget.id
        if name in PANES:
            self._focused(name)

    def _focused(self, name: str) -> None:
        self.focus_name = name
        if name in TABS:
            self.tab = name
        self.rearrange()
        self.selection.refreshed()

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self._focused(name)
        self.pane_of(name).focus(scroll_visible=False)

    def action_next_pane(self, by: int = 1) -> None:
        """Go to the next pane that is shown; on a small terminal to the next there is."""
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
        if self.zoomed:
            self.action_zoom()
        elif self.focus_name == "logs" and self.logs.needle:
            self.logs.search("")
        elif self.store.query.text or self.store.running_only:
            self.store.query, self.store.running_only = parse(""), False
            self.containers.update_rows()
        elif self.store.marks and self.focus_name == "containers":
            self.store.marks.clear()
            self.containers.repaint()
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
        elif abs(by) == 1 and self.focus_name in ("graphs", "term"):
            self.containers.move(by)  # the pane has no lines of its own: look at the next container

    def action_shift(self, by: str) -> None:
        """Show columns further right or left."""
        pane = self.logs if self.focus_name == "logs" else self.info
        pane.shift(int(by))

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        """The cursor stands on another item."""
        message.stop()
        self.selection.moved(message.pane)

    def on_list_pane_opened(self, message: ListPane.Opened) -> None:
        """An item was chosen by the mouse."""
        message.stop()
        self.action_open()

    def action_open(self) -> None:
        """Open what is selected: a stack closes or opens, a container shows its graphs, an image its layers."""
        if self.focus_name == "containers":
            if (stack := self.containers.stack) is not None:
                self.actions.fold(not stack.open)
            else:
                self.action_pane(
                    "logs" if self.containers.container and not self.containers.container.is_up else self.tab
                )
        elif self.focus_name == "images":
            self.action_pane("layers")
        elif self.focus_name == "layers":
            self.action_pane("diff" if self.layers_pane.cursor == 0 and self.selection.container else "info")
        elif self.focus_name == "term":
            self.actions.exec()

    # -- typing and the log -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type a filter; the list follows."""
        self.action_pane("containers")
        self.prompt.filter()

    def action_search(self) -> None:
        """Type what to look for in the log."""
        self.prompt.search()

    def action_follow(self) -> None:
        """Follow the end of the log, or stay."""
        self.logs.toggle_follow()

    def action_wrap(self) -> None:
        """Wrap the log's long lines, or cut them."""
        self.logs.wrap = not self.logs.wrap
        self.logs.repaint()

    def action_timestamps(self) -> None:
        """Show or hide the times of the log's lines."""
        self.logs.timestamps = not self.logs.timestamps
        self.logs.repaint()

    def action_next_match(self, backwards: bool = True) -> None:
        """The next older match in the log; in the list the next row."""
        if self.focus_name == "logs":
            self.logs.search(self.logs.needle, backwards, again=True)
        else:
            self.containers.move(1 if backwards else -1)

    def action_previous_match(self) -> None:
        """The next newer match."""
        self.action_next_match(backwards=False)
