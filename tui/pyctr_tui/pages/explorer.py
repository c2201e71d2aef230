"""The layer explorer: what is in an image or a container, layer by layer, live, and how any two states differ."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.geometry import Region

from pyctr_tui import glyphs
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.explorer import look, tree
from pyctr_tui.figures import count, exact_size
from pyctr_tui.pages.explorer_paths import Paths
from pyctr_tui.pages.page import SIDE_BY_SIDE, Page
from pyctr_tui.panes.strata import StrataPane, TreePane, WastePane
from pyctr_tui.panes.viewer import ViewerPane
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.widgets.pane import Pane

KEPT = 6
"""Trees in memory, as far as they were opened."""
AT_ONCE = 2000
"""Paths up to which a directory is read, and the lines are arranged, on the interface's own thread: 12 µs each."""
LIVE_EVERY = 2.0
"""Seconds between two looks at what a container is changing; longer when looking takes long."""
EFFORT = 10


class ExplorerPage(Page):
    """Layers and waste at the left; the tree, or a file, at the right."""

    cli = "layers"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.strata, self.waste = StrataPane(), WastePane()
        self.tree, self.viewer = TreePane(), ViewerPane()
        self.panes = (self.tree, self.strata, self.waste, self.viewer)
        self.paths = Paths(self)
        self.subject: look.Subject | None = None
        self.whole = True
        self.changed_only = False
        self.needle = ""
        self.viewing = False
        self.compared: look.Differences | None = None
        self._opened: set[str] = set()
        self._trees: OrderedDict[tuple[str, int, bool], tree.Tree] = OrderedDict()
        self._shown: tree.Tree | None = None
        self._revealed = ""
        self._first: dict[str, int] | None = None
        self._live_due = 0.0

    # -- where the panes stand ----------------------------------------------------------------------------------

    def arrange(self, width: int, height: int) -> dict[str, Region]:
        """Lists beside the tree where there is room; else one at a time. A file takes the tree's place."""
        right = "viewer" if self.viewing else "tree"
        if width < SIDE_BY_SIDE:
            focused = self.home.focus_name
            shown = focused if focused in ("strata", "waste") else right
            return {shown: Region(0, 0, width, height)}
        left = width * 40 // 100
        upper = max(8, min(len(self.strata.items) + 3, height * 6 // 10))
        return {
            "strata": Region(0, 0, left, upper),
            "waste": Region(0, upper, left, height - upper),
            right: Region(left, 0, width - left, height),
        }

    def ring(self) -> tuple[str, ...]:
        """What Tab goes through."""
        return ("strata", "waste", "viewer" if self.viewing else "tree")

    # -- what is explored ---------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Explore what is selected on home."""
        selection = self.home.selection
        image, container = selection.image, selection.container
        if image is not None:
            subject = look.Subject(image.label, image.id, image.id, image.label, container=False)
        elif container is not None:
            name, id = container.image, container.image_id
            if not any(one.id == id and name in (one.label, *one.names) for one in self.store.images):
                name = id.removeprefix("sha256:")[:12]  # its name is another image's by now, or nobody's
            subject = look.Subject(container.name, container.id, id, name, container=True)
        else:
            self.home.leave_page()
            self.home.notify_line("select a container or an image first", "warn")
            return
        self.explore(subject)

    def explore(self, subject: look.Subject) -> None:
        """Explore this."""
        if subject != self.subject:
            self.subject, self.compared, self.viewing, self.needle = subject, None, False, ""
            self._opened, self._first, self._shown, self._revealed = set(), None, None, ""
            self.strata.subject = subject.name
            self.strata.show(())
            self.waste.show_waste(None)
            self.tree.show_waiting(f"Files of {subject.name}")
        engine = self.application.engine
        self.ask("strata", lambda: look.strata(engine, subject), self._strata_read)

    def ask(self, kind: str, work: Callable[[], Any], then: Callable[[Answer], object]) -> None:
        """Ask in a thread; the answer is dropped when something else is explored by then."""
        subject = self.subject

        def answered(answer: Answer) -> None:
            if self.subject == subject:
                then(answer)

        self.application.details.call(f"explorer {kind}", work, answered)

    def _strata_read(self, answer: Answer) -> None:
        if answer.error:
            self.strata.error = answer.error
            self.strata.repaint()
            self.tree.show_waiting(self.tree.heading, answer.error)
            self.waste.show_waste(None, answer.error)
            return
        self.strata.show_strata(answer.value)
        if self.waste.error:
            self.waste.show_waste(None)
        self.home.rearrange()
        if answer.value:
            self._show_layer()
        else:
            self.tree.show_rows((), self.tree.heading, "")
            self._ask_waste()

    def _ask_waste(self) -> None:
        """Once, and after the tree, which is what people wait for."""
        subject, engine = self.subject, self.application.engine
        if subject is None or self.waste.about is not None or self.waste.error:
            return
        self.ask(
            "waste",
            lambda: look.waste(engine, subject),
            lambda answer: self.waste.show_waste(answer.value, answer.error),
        )

    @property
    def layers(self) -> int:
        """How many the image has."""
        return sum(not stratum.live for stratum in self.strata.items)

    def moved(self, pane: Pane) -> None:
        """Another layer was selected: show its files; another wasted path: show it in the tree."""
        if pane is self.strata and self.compared is None:
            self._show_layer()
        elif pane is self.waste and pane.has_focus and self.waste.selected is not None:
            self.reveal(self.waste.selected.raw)

    # -- the tree -----------------------------------------------------------------------------------------------

    def _show_layer(self) -> None:
        stratum, subject = self.strata.selected, self.subject
        if stratum is None or subject is None:
            return
        key = (subject.ref, stratum.number, self.whole)
        known = self._trees.get(key)
        if known is not None and not stratum.live:
            self._trees.move_to_end(key)
            self._shown = known
            self._again()
            self._ask_waste()
            return
        engine, layers = self.application.engine, self.layers
        shape, first = self._shape(), self._first if stratum.live else None

        def read() -> tuple[tree.Tree, list[tree.Row]]:
            found = look.files(engine, subject, key[1], layers, key[2])
            if first is not None:
                tree.grown(found, first)
            return found, tree.rows(found, *shape)

        def then(answer: Answer) -> None:
            self._ask_waste()
            now = self.strata.selected
            wanted = now is not None and (now.number, self.whole) == key[1:] and self.compared is None
            if answer.error:
                if wanted:
                    self.tree.show_waiting(self._heading(), answer.error)
                return
            found, lines = answer.value
            self._keep(key, found)
            self._live_due = time.monotonic() + max(LIVE_EVERY, EFFORT * answer.seconds)
            if wanted and shape == self._shape():
                self._show(found, lines)
            elif wanted:
                self._shown = found
                self._again()

        if not self.tree.items:
            self.tree.show_waiting(self._heading())
        self.ask("tree", read, then)

    def _keep(self, key: tuple[str, int, bool], found: tree.Tree) -> None:
        self._trees[key] = found
        self._trees.move_to_end(key)
        while len(self._trees) > KEPT:
            self._trees.popitem(last=False)
        if key[1] > self.layers:
            self.strata.show_live(found.changed, found.changes)
            if self._first is None:
                self._first = tree.sizes(found)

    def _shape(self) -> tuple[frozenset[str], str, bool, str]:
        """What decides which lines there are, and in which order."""
        return frozenset(self._opened), self.tree.sort, self.changed_only, self.needle

    def _show(self, found: tree.Tree, lines: list[tree.Row] | None = None) -> None:
        self._shown = found
        live = self.strata.selected is not None and self.strata.selected.live
        self.tree.growing = live or self.compared is not None
        self.tree.told = self.compared.told if self.compared is not None else {}
        if lines is None:
            lines = tree.rows(found, *self._shape())
        note = f"{exact_size(found.root.size)}"
        if found.changes:
            note += f" {glyphs.DOT} {count(found.changes, 'change')}"
        if self.needle:
            note += f" {glyphs.DOT} /{safe(self.needle)}"
        if self.tree.sort != "name":
            note += f" {glyphs.DOT} by {self.tree.sort}"
        self.tree.show_rows(lines, self._heading(), note)
        if self._revealed:
            if not self.tree.select(self._revealed):
                self.home.notify_line(f"{safe(self._revealed)} is not in what is shown here", "warn")
            self._revealed = ""

    def _heading(self) -> str:
        if self.compared is not None:
            return f"{self.compared.one} → {self.compared.other}"
        stratum, name = self.strata.selected, self.subject.name if self.subject else ""
        if stratum is None:
            return f"Files of {name}"
        if stratum.live:
            return f"{name}, now" if self.whole else f"What {name} changed"
        return f"{name} after layer {stratum.number}" if self.whole else f"Layer {stratum.number} of {name}"

    def _again(self) -> None:
        """Arrange the lines anew; in a thread when there is much to go through."""
        found, shape = self._shown, self._shape()
        if found is None:
            return
        if tree.effort(found, self._opened, self.needle) <= AT_ONCE:
            self._show(found)
            return

        def answered(answer: Answer) -> None:
            if answer.error:
                self.home.notify_line(answer.error, "bad")
            elif found is self._shown and shape == self._shape():
                self._show(found, answer.value)

        self.ask("lines", lambda: tree.rows(found, *shape), answered)

    def reveal(self, path: str) -> None:
        """Open the tree down to a path, and put the cursor there."""
        above = path
        while above and above != "/":
            above = above.rpartition("/")[0]
            self._opened.add(above)
        self._revealed = path
        self._again()

    def refreshed(self) -> None:
        """A container's own changes are looked at again and again."""
        stratum = self.strata.selected
        if stratum is not None and stratum.live and self.compared is None and time.monotonic() >= self._live_due:
            self._live_due = time.monotonic() + LIVE_EVERY
            self._show_layer()

    def job_changed(self, job: Job) -> None:
        """Nothing here depends on jobs."""

    # -- keys ---------------------------------------------------------------------------------------------------

    def back(self) -> bool:
        """From a file to the tree, from a comparison to the layers, from a filter to all."""
        if self.viewing:
            self.view(False)
        elif self.needle:
            self.needle = ""
            self._again()
        elif self.compared is not None:
            self.compared = None
            self._show_layer()
        else:
            return False
        return True

    def view(self, viewing: bool) -> None:
        """Show a file in the tree's place, or the tree."""
        self.viewing = viewing
        self.home.go_to(self.viewer if viewing else self.tree)

    def action_open(self) -> None:
        """A directory opens or closes, a file is shown; a layer's files get the focus."""
        if self.home.focus_name != "tree":
            if self.home.focus_name == "waste" and self.waste.selected is not None:
                self.reveal(self.waste.selected.raw)
            if self.home.focus_name != "viewer":
                self.home.go_to(self.tree)
            return
        row = self.tree.selected
        if row is None:
            return
        if row.node.is_directory:
            self._fold(not row.is_open)
        else:
            self.paths.contents(row.node)

    def _fold(self, is_open: bool) -> None:
        row = self.tree.selected
        if row is None:
            return
        node = row.node
        if is_open:
            self._opened.add(node.path)
        elif node.path in self._opened:
            self._opened.discard(node.path)
        elif node.parent is not None and node.parent.parent is not None:
            self._opened.discard(node.parent.path)
            self.tree.select(node.parent.path)
        self._again()

    def action_expand(self) -> None:
        """Open a directory; in a file, show columns further right."""
        self.viewer.shift(8) if self.viewing else self._fold(True)

    def action_collapse(self) -> None:
        """Close a directory, or the one it is in."""
        self.viewer.shift(-8) if self.viewing else self._fold(False)

    def action_whole(self) -> None:
        """The whole state after a layer, or what the layer did alone."""
        self.whole = not self.whole
        self._show_layer()

    def action_changed_only(self) -> None:
        """Only what was changed, or all."""
        self.changed_only = not self.changed_only
        self._again()

    def action_sort(self) -> None:
        """By name, size, growth."""
        self.tree.sort = tree.SORTS[(tree.SORTS.index(self.tree.sort) + 1) % len(tree.SORTS)]
        self._again()

    def action_find_path(self) -> None:
        """Show only paths that have a text in them."""
        form = FormDialog("Find paths", (Field("text", "in the path", self.needle),), "shows them")

        def answered(found: Answers | None) -> None:
            if found is not None:
                self.needle = found["text"]
                self._again()

        self.home.app.push_screen(form, answered)

    # -- one path, and states beside each other -----------------------------------------------------------------

    def action_text_difference(self) -> None:
        """How the selected layer changed the selected file, line by line."""
        node = self._node()
        if node is None or node.is_directory:
            self.home.notify_line("select a file first", "warn")
        else:
            self.paths.difference(node)

    def action_versions(self) -> None:
        """Every version of the selected path: which layer, what it did, how big."""
        if self.home.focus_name == "waste" and self.waste.selected is not None:
            self.paths.versions(self.waste.selected.raw)
        elif self.tree.selected is not None:
            self.paths.versions(self.tree.selected.node.path)

    def action_extract(self) -> None:
        """Take the selected file or directory out, to the host."""
        node = self._node()
        if node is None:
            self.home.notify_line("select a file or a directory first", "warn")
        else:
            self.paths.extract(node)

    def _node(self) -> tree.Node | None:
        """What is selected: in the tree, or the wasted path if the tree has it."""
        if self.home.focus_name == "waste" and self.waste.selected is not None:
            return self._shown.find(self.waste.selected.raw) if self._shown is not None else None
        return self.tree.selected.node if self.tree.selected is not None else None

    def state(self, before: bool = False) -> tuple[str, str]:
        """What is shown, as the engine calls it and as people do; or what lies under it, empty when nothing does."""
        assert self.subject is not None
        if self.compared is not None:
            ref = self.compared.one if before else self.compared.other
            return ref, safe(ref)
        number = (self.strata.selected.number if self.strata.selected is not None else self.layers) - before
        if number < 1:
            return "", ""
        own = self.subject.container and number > self.layers
        return self.subject.state(number, self.layers), self.subject.name if own else self._layer_name(number)

    def is_container(self, ref: str) -> bool:
        """Whether that names a container as it is now, whose files may change."""
        return any(ref == one.name or (len(ref) >= 12 and one.id.startswith(ref)) for one in self.store.containers)

    def _layer_name(self, number: int) -> str:
        assert self.subject is not None
        return f"{self.subject.image_name}@{number}"

    def action_compare(self) -> None:
        """Compare what is shown with any image, layer, container or checkpoint."""
        if self.subject is None:
            return
        one = self.state()[1] if self.compared is None else self.compared.one
        form = FormDialog(
            "Compare",
            (
                Field("one", "from", one, needed=True),
                Field("other", "to", "", "CONTAINER, CONTAINER@CHECKPOINT, IMAGE, IMAGE@LAYER", needed=True),
            ),
            "compares",
            cli=lambda found: f"compare {found['one']} {found['other']}",
        )

        def answered(found: Answers | None) -> None:
            if found is not None:
                self.compare(found["one"], found["other"])

        self.home.app.push_screen(form, answered)

    def compare(self, one: str, other: str) -> None:
        """Show what differs from one state to another."""
        engine = self.application.engine
        self.tree.show_waiting(f"{safe(one)} → {safe(other)}")

        def then(answer: Answer) -> None:
            if answer.error:
                self.home.notify_line(answer.error, "bad", 12.0)
                self._show_layer() if self.compared is None else self._again()
                return
            self.compared, self._shown = answer.value, answer.value.tree
            self._opened = {node.path for node in answer.value.tree.by_path.values() if node.holds}
            self._again()
            if not answer.value.told:
                self.home.notify_line("nothing differs", "good")
            elif not answer.value.all_told:
                self.home.notify_line(f"only the first {look.MOST_DIFFERENCES:,} differences are shown", "warn")

        self.ask("compare", lambda: look.compare(engine, one, other), then)

    def action_shell(self) -> None:
        """A shell in what is shown: a container of its own, removed when the shell ends."""
        if self.subject is None:
            return
        stratum = self.strata.selected
        if self.compared is not None:
            self.home.notify_line("a shell opens in one state: Esc leaves the comparison", "warn")
            return
        if stratum is not None and stratum.live:
            self.home.handler("exec")()
            return
        from pyctr_tui.terminal.handover import layer_shell

        layer_shell(self.application, *self.state())
