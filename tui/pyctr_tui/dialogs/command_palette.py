"""The palette: every action, container, image and stack by name, found by a few of its letters in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui.actions.possible import why_not
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.keymap import first_key
from pyctr_tui.pages import PAGES
from pyctr_tui.panes.tabbed import NAMES
from pyctr_tui.widgets.draw import Line, cells, fit, gap, width_of
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.screens.home import HomeScreen

MOVES = ("move", "page", "first", "last", "shift", "next_pane", "previous_pane", "palette", "back", "open")
"""Actions that make no sense by name."""
NOUNS = {
    "containers": "containers", "pods": "containers", "po": "containers", "images": "images", "img": "images",
    "layers": "layers", "logs": "logs",
}  # fmt: skip
"""Words that lead to a pane, `k9s` fashion."""

NARROWED = {"containers": "containers", "pods": "containers", "images": "images"}
"""Nouns that take a filter: ``containers state:exited``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose. ``note`` says what it does or is, ``key`` its key, ``why`` why it can't be done now."""

    name: str
    note: str
    key: str
    call: Callable[[], object]
    why: str = ""


def score(needle: str, name: str) -> float | None:
    """How well ``needle``'s letters, in order, fit ``name``: higher is better; ``None`` when they don't."""
    needle, name = needle.lower().replace(" ", ""), name.lower()
    if not needle:
        return 0.0
    points, at, before = 0.0, -1, -2
    for letter in needle:
        at = name.find(letter, at + 1)
        if at < 0:
            return None
        points += 3 if at == before + 1 else 2 if at == 0 or name[at - 1] in " -_/:." else 0.5
        before = at
    if name.startswith(needle):
        points += 5
    return points - len(name) / 100


def entries(home: HomeScreen) -> list[Entry]:
    """All there is to choose: what was chosen lately, actions that work here, all others, what can't be done now."""
    out: list[Entry] = []
    here = home.focus_name
    seen: set[str] = set()
    for command in sorted(home.application.keymap.commands, key=lambda command: not {here, "*"} & command.scopes):
        if command.action.partition(" ")[0] in MOVES or command.label in seen:
            continue
        seen.add(command.label)
        why = why_not(home, command)
        out.append(Entry(command.label, command.help, first_key(command), lambda c=command: home.do(c), why))  # type: ignore[misc]
    for name, page in PAGES.items():
        for noun in page.nouns:
            if noun not in seen:
                out.append(Entry(noun, page.help, "", lambda name=name: home.action_view(name)))  # type: ignore[misc]
    for noun, pane in NOUNS.items():
        if noun not in seen:
            out.append(Entry(noun, f"to {NAMES[pane]}", "", lambda p=pane: home.action_pane(p)))  # type: ignore[misc]
    for theme in home.application.themes.names:
        out.append(Entry(f"theme {theme}", "colours", "", lambda name=theme: home.show_theme(name)))  # type: ignore[misc]
    for stack in sorted({one.stack for one in home.store.containers if one.stack}):
        out.append(Entry(stack, "stack", "", lambda key=f"stack:{stack}": _go(home, key)))  # type: ignore[misc]
    for one in home.store.containers:
        out.append(Entry(one.name, f"container · {one.image}", "", lambda key=one.id: _go(home, key)))  # type: ignore[misc]
    for image in home.store.images:
        out.append(Entry(image.label, "image", "", lambda key=image.id: _go_image(home, key)))  # type: ignore[misc]
    recent = {name: at for at, name in enumerate(home.application.recent)}
    return sorted(out, key=lambda entry: (recent.get(entry.name, len(recent)), bool(entry.why)))


def _go(home: HomeScreen, key: str) -> None:
    home.action_pane("containers")
    home.lists.reveal(key)


def _go_image(home: HomeScreen, key: str) -> None:
    home.images.select(key)
    home.action_pane("images")


def narrow(home: HomeScreen, noun: str, words: str) -> None:
    """Go to a list and filter it."""
    pane = home.containers if NARROWED[noun] == "containers" else home.images
    home.action_pane(NARROWED[noun])
    pane.filter_by(words)


class _PalettePane(Pane):
    def __init__(self, all: list[Entry]) -> None:
        super().__init__()
        self.all = all
        self.found = list(all)
        self.edit = LineEdit(placeholder="an action, a container, an image, a stack")
        self.cursor = 0
        self.top = 0

    def find(self) -> None:
        """Look again for what has been typed."""
        scored = [(points, -at) for at, entry in enumerate(self.all) if (points := self._score(entry)) is not None]
        scored.sort(reverse=True)
        self.found = [self.all[-at] for _, at in scored]
        self.cursor = self.top = 0
        self.repaint()

    def _score(self, entry: Entry) -> float | None:
        needle = self.edit.value
        by_name = score(needle, entry.name)
        if by_name is not None:
            return by_name + 2
        return 0.0 if needle.lower() in entry.note.lower() else None

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + by, len(self.found) - 1))
        self.repaint()

    def title(self) -> Line:
        return [Segment("Do", self.palette.strong)]

    def subtitle(self) -> Line:
        return [Segment(f"{len(self.found)} · Enter does it · Esc closes", self.palette.dim)]

    def highlight(self) -> tuple[int, object] | None:
        return (2 + self.cursor - self.top, self.palette.selected) if self.found else None

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        room = max(1, height - 2)
        self.top = max(min(self.top, self.cursor), self.cursor - room + 1)
        lines: list[Line] = [
            [Segment(" : ", palette.accent), *self.edit.paint(max(width - 4, 4), palette)],
            [Segment("─" * width, palette.frame)],
        ]
        names = min(30, max((width_of(entry.name) for entry in self.found), default=10) + 2)
        for entry in self.found[self.top : self.top + room]:
            tones = (palette.faint,) * 3 if entry.why else (palette.strong, palette.dim, palette.accent)
            lines.append([
                gap(2),
                cells(entry.name, names, tones[0]),
                Segment(fit(entry.why or entry.note, max(width - names - 9, 4)), tones[1]),
                cells(entry.key, 6, tones[2], right=True),
                gap(1),
            ])  # fmt: skip
        if not self.found:
            noun, _, words = self.edit.value.strip().removeprefix(":").partition(" ")
            narrows = noun in NARROWED and words.strip()
            said = f"Enter shows {noun} that pass {words.strip()}" if narrows else "nothing fits"
            lines.append([gap(2), Segment(fit(said, max(width - 4, 4)), palette.accent if narrows else palette.dim)])
        return lines


class CommandPalette(Dialog[Callable[[], object]]):
    """Returns what to call, or ``None``."""

    def __init__(self, home: HomeScreen) -> None:
        self._home = home
        self._pane = _PalettePane(entries(home))
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """A column in the middle."""
        return min(84, width - 2), min(22, height - 2)

    def key(self, event: events.Key) -> None:
        """Type, move, choose."""
        pane = self._pane
        noun, _, words = pane.edit.value.strip().removeprefix(":").partition(" ")
        moves = {
            "down": 1,
            "up": -1,
            "ctrl+n": 1,
            "ctrl+p": -1,
            "tab": 1,
            "shift+tab": -1,
            "pagedown": 10,
            "pageup": -10,
        }
        if event.key in ("escape", "ctrl+c"):
            self.dismiss(None)
        elif event.key in moves:
            pane.move(moves[event.key])
        elif event.key == "enter" and words.strip() and noun in NARROWED:
            self.dismiss(lambda: narrow(self._home, noun, words.strip()))
        elif event.key == "enter":
            self._choose(pane.cursor)
        elif pane.edit.key(event.key, event.character):
            pane.find()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the line."""
        self._pane.edit.insert(event.text)
        self._pane.find()

    def on_click(self, event: events.Click) -> None:
        """A click on a line chooses it."""
        pane = self._pane
        at = event.screen_y - pane.region.y - 3 + pane.top
        if pane.region.contains(event.screen_x, event.screen_y) and 0 <= at < len(pane.found):
            if event.screen_y - pane.region.y >= 3:
                self._choose(at)
            return
        super().on_click(event)

    def _choose(self, at: int) -> None:
        """Answer with what stands there, and remember it; what can't be done now says why."""
        found = self._pane.found
        if not found:
            self.dismiss(None)
            return
        entry, home = found[at], self._home
        if entry.why:
            self.dismiss(lambda: home.notify_line(f"{entry.name}: {entry.why}", "warn"))
            return
        home.application.remember(entry.name)
        self.dismiss(entry.call)
