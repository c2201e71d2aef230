"""The sessions of the terminal pane: one emulator each, fed in small pieces so that no flood is felt in the keys."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pyctr_engine.model.spec import ExecRequest
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.asciicast import Recorder
from pyctr_tui.terminal.connection import PIECE, Connection
from pyctr_tui.terminal.keys import encode, paste

if TYPE_CHECKING:
    from pyctr_engine.engine import Session
    from pyctr_engine.model.past import Session as Listed
    from pyctr_tui.application import Application
    from pyctr_tui.view import ContainerView

State = Literal["opening", "live", "away", "ended", "lost"]
"""``away``: it runs, and is not watched here."""

SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh")
FEED_SECONDS = 0.005
"""So much of the processor's time output is drawn at a time; then keys have their turn. Not the clock's time: on a
busy machine that would pass without anything being drawn."""
REST_SECONDS = 0.012
"""And so long at least until the next time."""
FLOOD_BYTES = 64 << 10
"""With so much waiting, lines that would only scroll away are left out."""
TERM = "xterm-256color"


def label_of(argv: Sequence[str]) -> str:
    """What a command is called on its tab: its program, and what it works on where there is room."""
    if tuple(argv) == SHELL:
        return "shell"
    words = [argv[0].rpartition("/")[2], *argv[1:]]
    return safe(" ".join(words))[:40]


class Tab:
    """One session.

    Attributes:
        container: The id of the container it runs in.
        where: That container's name.
        id: The session's id in its monitor; empty until it is known.
        said: How it ended, for the pane to show.
        viewers: Who watched at the last look, ourselves included.
    """

    def __init__(
        self,
        container: str,
        where: str,
        label: str,
        columns: int,
        rows: int,
        recorded: Callable[[Recorder], object],
    ) -> None:
        """``recorded`` is called with each recording that has ended, whatever ended it."""
        self.container = container
        self.where = where
        self.label = label
        self.id = ""
        self.state: State = "opening"
        self.said = ""
        self.viewers = 0
        self.exit_code: int | None = None
        self.recorder: Recorder | None = None
        self._recorded = recorded
        self.dirty = True
        self.fresh_bytes = 0
        self.connection: Connection | None = None
        self._muted = 0
        self._backlog = b""
        self._typed_ahead: list[bytes] = []
        from pyctr_tui.terminal.emulator import Emulator  # late: it takes a tenth of the time to the first paint

        self.emulator = Emulator(columns, rows, self._answered)

    @property
    def is_alive(self) -> bool:
        """Whether its program runs, as far as we know."""
        return self.state in ("opening", "live", "away")

    @property
    def behind(self) -> int:
        """Bytes that have come and are not drawn yet."""
        return len(self._backlog) + (self.connection.waiting if self.connection is not None else 0)

    def connect(self, session: Session, woken: Callable[[], object], again: bool) -> None:
        """Watch it from now on; ``again``: what it wrote before comes first."""
        self.id = session.id
        columns, rows = self.emulator.size
        self._backlog = b""
        if again:
            self.emulator.reset()
        self._muted = getattr(session, "replayed", 0)
        connection = self.connection = Connection(session, woken)
        self.state = "live"
        if again:
            connection.nudge(columns, rows)
        else:
            connection.resize(columns, rows)
        for data in self._typed_ahead:
            connection.send(data)
        self._typed_ahead.clear()

    def leave(self) -> None:
        """Watch it no longer; it runs on."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        if self.state in ("live", "opening"):
            self.state = "away"
        self.stop_recording()

    def resize(self, columns: int, rows: int) -> None:
        """The pane has another size."""
        if (columns, rows) == self.emulator.size:
            return
        self.emulator.resize(columns, rows)
        self.dirty = True
        if self.connection is not None:
            self.connection.resize(*self.emulator.size)
        if self.recorder is not None:
            self.recorder.resized(*self.emulator.size)

    def send(self, data: bytes) -> None:
        """Type; what is typed while it is being opened is sent then."""
        if self.connection is not None:
            self.connection.send(data)
        elif self.state == "opening" and len(self._typed_ahead) < 1000:
            self._typed_ahead.append(data)

    def key(self, key: str, character: str | None) -> None:
        """Press a key."""
        data = encode(key, character, self.emulator.modes)
        if data:
            self.send(data)

    def paste(self, text: str) -> None:
        """Paste."""
        self.send(paste(text, self.emulator.modes))

    def feed(self, until: float) -> bool:
        """Draw what has come until then; whether more waits."""
        connection = self.connection
        if connection is None:
            return False
        while piece := self._next(connection):
            self.emulator.feed(piece)
            self._muted = max(0, self._muted - len(piece))  # afterwards: its questions were answered long ago
            self.dirty = True
            self.fresh_bytes += len(piece)
            if time.thread_time() >= until:
                return True
        if connection.ended is not None and not connection.waiting:
            self._ended(connection.ended)
        return False

    def _next(self, connection: Connection) -> bytes:
        """The next piece to draw: of what was there before it was come back to, of a flood, or as it came."""
        if not self._backlog:
            if not self._muted and connection.waiting >= FLOOD_BYTES:
                data = connection.take_all()
                self._record(data)
                self._backlog = self.emulator.skim(data)
            else:
                piece = connection.take(min(PIECE, self._muted) or PIECE)
                self._record(piece)
                return piece
        piece, self._backlog = self._backlog[:PIECE], self._backlog[PIECE:]
        return piece

    def _record(self, data: bytes) -> None:
        if self.recorder is not None and data:
            self.recorder.output(data)

    def _ended(self, code: int) -> None:
        self.connection = None
        self.dirty = True
        self.stop_recording()
        if code < 0:
            self.state = "lost"
            self.said = "the line to it was lost: its container's monitor has gone"
        else:
            self.state = "ended"
            self.exit_code = code
            self.said = f"{self.label} ended with exit code {code}"

    def _answered(self, data: bytes) -> None:
        """The emulation answers a question; one in what is shown again was answered then."""
        if not self._muted:
            self.send(data)

    def stop_recording(self) -> None:
        """End the recording, if there is one."""
        if self.recorder is None:
            return
        recorder, self.recorder = self.recorder, None
        recorder.close()
        self._recorded(recorder)


class Tabs:
    """All sessions that are known, of all containers, and the clock that feeds them.

    ``changed`` is called on the interface's thread when something is to be drawn, ``gone`` when a session is off
    the list.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.all: list[Tab] = []
        self.chosen: dict[str, Tab] = {}
        self.changed: Callable[[Tab | None], object] = lambda tab: None
        self.gone: Callable[[Tab], object] = lambda tab: None
        self.size = (80, 24)
        self._due = self._closed = False

    def of(self, container: str) -> list[Tab]:
        """A container's sessions, the oldest first."""
        return [tab for tab in self.all if tab.container == container]

    def current(self, container: str) -> Tab | None:
        """The one in sight for a container."""
        tabs = self.of(container)
        chosen = self.chosen.get(container)
        return chosen if chosen in tabs else tabs[-1] if tabs else None

    def choose(self, tab: Tab) -> None:
        """Have this one in sight; one that was away is come back to."""
        self.chosen[tab.container] = tab
        if tab.state == "away":
            self.come_back(tab)
        self.changed(tab)

    def step(self, container: str, by: int) -> None:
        """The next session, or the one before."""
        tabs, current = self.of(container), self.current(container)
        if current is not None:
            self.choose(tabs[(tabs.index(current) + by) % len(tabs)])

    # -- opening ------------------------------------------------------------------------------------------------

    def open(self, container: ContainerView, argv: Sequence[str] = SHELL, user: str = "", cwd: str = "") -> Tab:
        """Run a program in a container, in a tab of its own."""
        tab = Tab(container.id, container.name, label_of(argv), *self.size, self._recorded)
        self.all.append(tab)
        self.chosen[container.id] = tab
        colours = ("COLORTERM=truecolor",) if self._application.depth == "true" else ()
        request = ExecRequest(
            tuple(argv), env=(f"TERM={TERM}", *colours), user=user, working_dir=cwd, tty=True, stdin=True
        )
        engine = self._application.engine
        words = "sh" if tuple(argv) == SHELL else " ".join(argv)
        options = (f"-u {user} " if user else "") + (f"-w {cwd} " if cwd else "")
        self._application.jobs.run(
            f"opening {tab.label} in {container.name}",
            lambda job: engine.exec(container.id, request),
            f"{tab.label} in {container.name} · every key is its own, Ctrl+] is ours",
            safe(f"exec -it {options}{container.name} {words}"),
            then=lambda session: self._connected(tab, session, again=False),
            failed=lambda error: self._failed(tab),
        )
        self.changed(tab)
        return tab

    def come_back(self, tab: Tab) -> None:
        """Watch a session again that runs."""
        tab.state = "opening"
        engine = self._application.engine
        self._application.jobs.run(
            f"coming back to {tab.label} in {tab.where}",
            lambda job: engine.reattach(tab.container, tab.id)[0],
            f"back in {tab.label} of {tab.where}",
            f"attach --session {tab.id} {tab.where}",
            then=lambda session: self._connected(tab, session, again=True),
            failed=lambda error: self._failed(tab),
        )

    def _connected(self, tab: Tab, session: Any, again: bool) -> None:
        if tab not in self.all or tab.state != "opening":
            session.close()  # it was left before it was there
            return
        tab.resize(*self.size)
        tab.connect(session, lambda: self._application.from_thread(self._woken), again)
        self._woken()

    def _failed(self, tab: Tab) -> None:
        self.forget(tab)

    def listed(self, container: str, where: str, sessions: Iterable[Listed]) -> None:
        """What the engine says runs in a container: sessions that others opened, or we in a former life."""
        found = {one.id: one for one in sessions if one.tty}
        for tab in self.of(container):
            one = found.pop(tab.id, None)
            if one is not None:
                tab.viewers = one.viewers
            if tab.state == "away" and tab.id and (one is None or one.exit_code is not None):
                self.forget(tab)
        for one in found.values():
            if one.exit_code is None and not any(tab.state == "opening" and not tab.id for tab in self.of(container)):
                tab = Tab(container, where, label_of(one.argv), *self.size, self._recorded)
                tab.id, tab.state, tab.viewers = one.id, "away", one.viewers
                self.all.append(tab)
        self.changed(None)

    # -- leaving ------------------------------------------------------------------------------------------------

    def forget(self, tab: Tab) -> None:
        """Take it off the list."""
        tab.leave()
        if tab in self.all:
            self.all.remove(tab)
        if self.chosen.get(tab.container) is tab:
            del self.chosen[tab.container]
        self.gone(tab)
        self.changed(None)

    def close(self) -> None:
        """The interface ends: programs run on."""
        self._closed = True
        for tab in self.all:
            tab.leave()

    def _recorded(self, recorder: Recorder) -> None:
        """Say where a recording is, after what is said of the session's end."""
        if not self._closed:
            self._application.home.call_next(self._tell, recorder)

    def _tell(self, recorder: Recorder) -> None:
        """Say where a recording is, or why it is not whole; the list of jobs keeps it."""
        path = safe(recorder.path)
        said = f"recorded: {path} · pyctr-tui replay plays it"
        if recorder.failed:
            said = f"the recording ended early: {recorder.failed} · {path}"
        self._application.jobs.note(f"replay {shlex.quote(path)}", said)
        self._application.home.notify_line(said, "bad" if recorder.failed else "good", 12.0)

    # -- the clock ----------------------------------------------------------------------------------------------

    def _woken(self) -> None:
        if not self._due:
            self._due = True
            self._feed()

    def _feed(self) -> None:
        until = time.thread_time() + FEED_SECONDS
        busy = [tab for tab in self.all if tab.connection is not None]
        more = False
        for at, tab in enumerate(busy):
            share = (until - time.thread_time()) / (len(busy) - at)
            more = tab.feed(time.thread_time() + max(share, 0.0)) or more
            if tab.dirty:
                self.changed(tab)
        self._due = more
        if more:
            self._application.home.set_timer(REST_SECONDS, self._feed)
