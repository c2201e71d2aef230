"""The terminal emulator, behind an adapter: bytes of a program in, cells and answers out.

The emulation is bittty's, pinned exactly; nothing else here imports it. What it does beyond drawing is taken away,
because the program is a stranger: it can't set the clipboard (what it offers is kept for the user to take), resize
its own terminal, define keys, be told back what it said itself (a file that is shown with ``cat`` could type
commands that way), print, or make lists grow without bound. Keys are encoded in `keys`, cells drawn in `cells`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from bittty import Board, Video
from bittty.devices.modes import MouseProtocol
from bittty.operations import Operation
from bittty.style import Style as CellStyle

from pyctr_engine.record import dataclass
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.keys import Modes

Cell = tuple[CellStyle, str]
"""A style and what stands in it: the empty text is the right half of the wide character before."""
Row = list[Cell]

HISTORY_LINES = 5000
HISTORY_CELLS = 600_000
"""So many lines, or cells when lines are long, are kept of what scrolled away."""
MAX_STRING = 256 << 10
"""Characters of an unfinished control string (a title, a clipboard) after which it is thrown away."""
MAX_CLIPBOARD = 1 << 20
MAX_COUNT = 4096
"""The most a control sequence can repeat, insert or move by."""
MAX_TITLE = 200
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")

_COUNTED = (
    "REP ICH DCH ECH IL DL SU SD SL SR DECIC DECDC CHT CBT CUU CUD CUF CUB HPR VPR HPB VPB CNL CPL CUP HVP CHA "
    "HPA VPA"
).split()
_IGNORED = (
    "OSC_NOTIFY OSC_SHELL_MARK OSC_POINTER_SHAPE OSC_FONT OSC_CWD LINUX_SETTERM DECRQCRA XTGETTCAP XTVERSION DECUDK "
    "XTMODKEYS KITTY_PUSH KITTY_POP KITTY_SET KITTY_QUERY MC DECMC DECSCPP DECSCL S8C1T C0_ENQ DECELR DECSLE DECRQLP "
    "DECEFR OSC_HYPERLINK XTPUSHCOLORS XTPOPCOLORS OSC_SPECIAL_COLOR OSC_SET_PALETTE LINUX_PALETTE_SET"
).split()
_REFUSED_MODES = frozenset((3, 18, 19, 40, 2027, 8840))
"""132 columns, printing, and how wide characters are: not the program's to change."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where it stands, and whether the program shows it."""

    x: int
    y: int
    visible: bool


class _Screen(Video):  # type: ignore[misc]
    """The primary screen: what scrolls out at its top is kept."""

    keep: Callable[[list[Row]], None] = staticmethod(lambda rows: None)

    def scroll_region_up(self, top: int, bottom: int, count: int) -> None:
        if top == 0 <= bottom < self.height:
            self.keep(self.grid[: min(count, bottom + 1)])
        super().scroll_region_up(top, bottom, count)

    def scroll_rectangle_up(self, top: int, bottom: int, count: int, **how: Any) -> None:
        if (
            top == 0 <= bottom < self.height
            and how.get("left", 0) == 0
            and how.get("right") in (None, self.width - 1)
        ):
            plain = how.get("right") is None and how.get("style_or_ansi") is None
            if not plain:  # else it ends in `scroll_region_up`
                self.keep(self.grid[: min(count, bottom + 1)])
        super().scroll_rectangle_up(top, bottom, count, **how)


class Emulator:
    """One terminal. Not for several threads.

    Attributes:
        history: Lines that scrolled away, oldest first.
        clipboard: What the program wanted to copy last (OSC 52): nothing happens with it by itself.
        faults: Sequences that the emulation stumbled over.
        answered: Is called with what has to be sent back to the program: answers to its questions.
    """

    def __init__(self, columns: int, rows: int, answered: Callable[[bytes], object] = lambda data: None) -> None:
        self.answered = answered
        self.history: deque[Row] = deque()
        self.clipboard = ""
        self.faults = 0
        self._history_cells = 0
        self._titles: deque[str] = deque(maxlen=8)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        board = self._board = Board(width=max(columns, 2), height=max(rows, 1))
        screen = _Screen(board.width, board.height, board.width_policy)
        screen.keep = self._keep
        board.blitter.primary_buffer = board.blitter.current_buffer = screen
        board.host.attach(self)
        board.attach_display(self)
        board.modes.set_grapheme_capability("permanently-set")
        self._disarm()

    def _disarm(self) -> None:
        """Take away what a program has no business with, before the first byte: the parser remembers handlers."""
        board = self._board
        registry: dict[str, Callable[[Operation], None]] = board.registry
        for name in _IGNORED:
            if name in registry:
                registry[name] = _nothing
        for name in _COUNTED:
            if name in registry:
                registry[name] = _bounded(registry[name])
        registry["OSC_CLIPBOARD"] = self._offer
        registry["XTWINOPS"] = self._window
        registry["DA1"] = lambda operation: self.write("\x1b[?62;22c")  # VT220 with colour
        status = registry["DECRQSS"]
        registry["DECRQSS"] = lambda operation: status(operation) if operation.args[0] in ("m", "r", " q") else None
        modes = board.modes
        apply = modes.set_private_modes

        def set_private_modes(params: Iterable[int | None], value: bool) -> None:
            kept = tuple(param for param in params if param not in _REFUSED_MODES)
            if kept:
                apply(kept, value)

        modes.set_private_modes = set_private_modes

    # -- bytes --------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Draw what a program wrote. Nothing that it writes raises."""
        parser = self._board.parser
        try:
            parser.feed(self._decoder.decode(data))
        except Exception:  # noqa: BLE001 - a stranger's bytes: the sequence that the emulation can't digest is dropped
            self.faults += 1
            rest = parser.buffer[parser.pos :]
            parser.reset()
            cut = next((at for at in range(1, len(rest)) if rest[at] in "\x1b\r\n"), len(rest))
            self._again(rest[cut:])
        if len(parser.buffer) > MAX_STRING:
            parser.reset()

    def _again(self, rest: str) -> None:
        """Go on after a sequence that was dropped."""
        parser = self._board.parser
        for line in rest.splitlines(keepends=True):
            try:
                parser.feed(line)
            except Exception:  # noqa: BLE001 - as above
                self.faults += 1
                parser.reset()

    def skim(self, data: bytes) -> bytes:
        """Of a flood what has to be fed to end with the same screen and history.

        Lines that would scroll through both are left out, if the data is nothing but text and line ends, and nothing
        that was fed before makes it mean something else.
        """
        board, screen = self._board, self._board.blitter
        keep = HISTORY_LINES + board.height + 1
        if data.count(b"\n") <= keep or _CONTROL.search(data) or board.parser.buffer or self._has_rest():
            return data
        whole = screen.scroll_top == 0 and screen.scroll_bottom == board.height - 1
        if self.is_alternate or not whole or screen.left_margin or screen.right_margin != board.width - 1:
            return data
        lines = data.rsplit(b"\n", keep)[1:]
        return b"\n".join(lines)

    def _has_rest(self) -> bool:
        """Whether the beginning of a character waits for its end."""
        return bool(self._decoder.getstate()[0])

    def reset(self) -> None:
        """As when it was switched on; what scrolled away is forgotten."""
        self._board.parser.reset()
        self._board.reset(hard=True)
        self.history.clear()
        self._history_cells = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: str) -> None:
        """The emulation answers the program (bittty's `Connection`)."""
        self.answered(data.encode("utf-8", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """The same in bytes."""
        self.answered(data)

    def present(self, event: object) -> None:
        """Something beside the screen happened (bittty's `Presentable`), a bell or a title: it isn't shown."""

    # -- what there is to draw ----------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        return self._board.width, self._board.height

    def rows(self) -> list[Row]:
        """The lines of the screen: live, to be drawn at once and not to be kept."""
        grid: list[Row] = self._board.blitter.current_buffer.grid
        return grid

    def observe(self, seen: int) -> tuple[int, frozenset[int] | None]:
        """A mark for the next call, and which lines have changed since the mark ``seen``; ``None``: all may have."""
        page = self._board.blitter.current_buffer
        dirty = None if page.page_gen >= seen or seen == 0 else frozenset(page.dirty_rows(seen))
        return page.observe(), dirty

    def text(self) -> list[str]:
        """The lines of the screen as plain text, blanks at their ends left out."""
        return [row_text(row) for row in self.rows()]

    def ansi(self) -> str:
        """What draws this screen on an empty terminal: for the beginning of a recording."""
        cursor = self.cursor
        lines = self._board.capture_pane().split("\n")
        return "\x1b[H" + "\r\n".join(lines) + f"\x1b[0m\x1b[{cursor.y + 1};{cursor.x + 1}H"

    @property
    def cursor(self) -> Cursor:
        """Where it stands."""
        board = self._board
        x = min(int(board.cursor.display_x), board.width - 1)
        return Cursor(x, int(board.cursor.y), bool(board.modes.cursor_visible))

    @property
    def title(self) -> str:
        """What the program calls itself, harmless and of bounded length; empty when it said nothing."""
        title = self._board.title.title
        return "" if title == "Terminal" else safe(title[:MAX_TITLE])

    @property
    def is_alternate(self) -> bool:
        """Whether a full-screen program has the alternate screen."""
        return bool(self._board.blitter.in_alt_screen)

    @property
    def is_reversed(self) -> bool:
        """Whether the whole screen is drawn in reverse video."""
        return bool(self._board.modes.reverse_screen)

    @property
    def wants_mouse(self) -> bool:
        """Whether the program asked for the mouse."""
        return self._board.modes.mouse_protocol not in (MouseProtocol.OFF, MouseProtocol.LOCATOR)

    @property
    def modes(self) -> Modes:
        """What decides how keys are encoded."""
        modes = self._board.modes
        return Modes(
            cursor_keys=bool(modes.cursor_application_mode),
            bracketed_paste=bool(modes.bracketed_paste),
            focus=bool(modes.focus_reporting),
        )

    def mouse(self, x: int, y: int, button: int, event: str, modifiers: set[str]) -> None:
        """A mouse event in cell (x, y): ``press``, ``release`` or ``move``; the program hears what it asked for."""
        self._board.input_mouse(x + 1, y + 1, button, event, modifiers)

    def scrolls_by_keys(self) -> bool:
        """Whether the wheel becomes cursor keys: in a full-screen program that did not ask for the mouse."""
        return self.is_alternate and not self.wants_mouse

    # -- size ---------------------------------------------------------------------------------------------------

    def resize(self, columns: int, rows: int) -> None:
        """Another size: lines that have no more room scroll away, and come back when there is room again."""
        columns, rows = max(columns, 2), max(rows, 1)
        board = self._board
        width, height = board.width, board.height
        if (columns, rows) == (width, height):
            return
        page, cursor = board.blitter.primary_buffer, board.cursor
        lower = 0 if self.is_alternate else cursor.y
        away = max(0, lower + 1 - rows)
        if away:
            page.scroll_region_up(0, height - 1, away)
            cursor.y -= away
        board.resize(columns, rows)
        board.blitter.set_scroll_region(0, rows - 1)
        back = 0 if self.is_alternate else min(rows - height, len(self.history))
        if back > 0:
            page.scroll_region_down(0, rows - 1, back)
            for y in range(back - 1, -1, -1):
                row = self.history.pop()
                self._history_cells -= len(row)
                page.grid[y] = (row + [page._empty_cell] * (columns - len(row)))[:columns]
                page.normalize_row(y)
            cursor.y += back

    # -- what the emulation tells us ----------------------------------------------------------------------------

    def _keep(self, rows: list[Row]) -> None:
        history = self.history
        for row in rows:
            history.append(row)
            self._history_cells += len(row)
        while len(history) > HISTORY_LINES or self._history_cells > HISTORY_CELLS:
            self._history_cells -= len(history.popleft())

    def _offer(self, operation: Operation) -> None:
        """OSC 52: keep what the program wants to copy; what the user has copied is never told."""
        payload = operation.args[1]
        if payload == "?" or len(payload) > MAX_CLIPBOARD:
            return
        try:
            self.clipboard = base64.b64decode(payload, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return

    def _window(self, operation: Operation) -> None:
        """Of the window's operations only asking for the size, and keeping the title."""
        params = operation.args[0]
        what = params[0] if params else None
        board = self._board
        if what in (18, 19):
            self.write(f"\x1b[{8 if what == 18 else 9};{board.height};{board.width}t")
        elif what == 22:
            self._titles.append(board.title.title)
        elif what == 23 and self._titles:
            board.title.set_title(self._titles.pop())


def row_text(row: Row) -> str:
    """A line as plain text, blanks at its end left out."""
    return "".join([cell[1] for cell in row]).rstrip(" ")


def _nothing(operation: Operation) -> None:
    """What a program can't do here."""


def _bounded(handler: Callable[[Operation], None]) -> Callable[[Operation], None]:
    """The same with counts that can't be used to fill the memory or to stop the interface."""

    def call(operation: Operation) -> None:
        args = operation.args
        if any(type(arg) is int and arg > MAX_COUNT for arg in args):
            args = tuple(min(arg, MAX_COUNT) if type(arg) is int else arg for arg in args)
            operation = Operation(operation.name, args, operation.raw)
        handler(operation)

    return call
