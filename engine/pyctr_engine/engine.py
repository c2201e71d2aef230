"""The engine's façade: the only door for the TUI and the command line.

Rooms are imported where they are needed: ``ps`` must not pay for what ``commit`` uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pyctr_engine.paths import Paths

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event
    from pyctr_engine.model.host import Finding, HostInfo, ProcessInfo
    from pyctr_engine.model.image import Change, ImageSummary, LayerInfo
    from pyctr_engine.model.log import LogLine
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ExecRequest
    from pyctr_engine.model.stack import Action, Stack, StackSummary
    from pyctr_engine.model.stats import HostStats, Stats
    from pyctr_engine.model.status import Container

ProgressSink = Callable[["Progress"], None]


class Session(Protocol):
    """A live connection to a program's standard streams, in its container's monitor."""

    def fileno(self) -> int:
        """Readable when `read` may have something; see `has_buffered` for what is already here."""

    @property
    def has_buffered(self) -> bool:
        """Whether `read` will return without waiting."""

    def read(self) -> tuple[str, bytes]:
        """Block for the next piece: ``("stdout"|"stderr", data)``, ``("exit", b"<code>")`` or ``("closed", b"")``."""

    def write(self, data: bytes) -> None:
        """Send to its standard input."""

    def close_stdin(self) -> None:
        """End its standard input."""

    def resize(self, rows: int, columns: int) -> None:
        """Set its terminal's size."""

    def wait(self) -> int:
        """Throw away what it prints until it ends; its exit code."""

    def close(self) -> None:
        """Let go of it; it goes on."""


class Engine:
    """All that can be done. Safe to call from several threads; every method may block, and raises EngineError only.

    ``ref`` arguments take a container's name, id or unique id prefix; ``image`` arguments a reference,
    an image id or a unique prefix of one.
    """

    def __init__(self, paths: Paths | None = None) -> None:
        self.paths = paths or Paths()

    # -- containers ---------------------------------------------------------------------------------------------

    def containers(self) -> list[Container]:
        """All containers, newest first, dead monitors' containers swept first."""
        raise NotImplementedError

    def container(self, ref: str) -> Container:
        """One container."""
        raise NotImplementedError

    def create(self, request: ContainerRequest) -> Container:
        """Resolve the request, lease what it needs, prepare its file system; don't start it."""
        raise NotImplementedError

    def start(self, ref: str) -> Container:
        """Start a created or ended container; a running one is left alone."""
        raise NotImplementedError

    def run(self, request: ContainerRequest) -> tuple[Container, Session]:
        """Create and start, attached from the first byte it writes."""
        raise NotImplementedError

    def start_attached(self, ref: str) -> Session:
        """Start, attached from the first byte."""
        raise NotImplementedError

    def attach(self, ref: str) -> Session:
        """Attach to a running container's standard streams."""
        raise NotImplementedError

    def exec(self, ref: str, request: ExecRequest) -> Session:
        """Run a further program in a running container."""
        raise NotImplementedError

    def stop(self, ref: str, timeout: float | None = None) -> None:
        """Stop signal, grace, SIGKILL; returns when it has ended."""
        raise NotImplementedError

    def kill(self, ref: str, signal: str = "KILL") -> None:
        """Send a signal (name with or without SIG, or number) to its first process."""
        raise NotImplementedError

    def restart(self, ref: str, timeout: float | None = None) -> Container:
        """Stop (if running) and start."""
        raise NotImplementedError

    def pause(self, ref: str) -> None:
        """Freeze all of its processes."""
        raise NotImplementedError

    def unpause(self, ref: str) -> None:
        """Let them go on."""
        raise NotImplementedError

    def wait(self, ref: str) -> int:
        """Block until it has ended; its exit code."""
        raise NotImplementedError

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        """Remove a container and all that it leased; ``force`` kills a running one first."""
        raise NotImplementedError

    def logs(
        self, ref: str, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Iterator[LogLine]:
        """What it wrote, oldest first; with ``follow``, until it ends."""
        raise NotImplementedError

    def log_file(self, ref: str) -> str:
        """Path of the current log file (JSON lines ``{"t":…,"s":"stdout","m":…}``); it may not exist yet."""
        raise NotImplementedError

    def inspect(self, ref: str) -> dict[str, Any]:
        """Everything about it, under docker's field names where they mean the same."""
        raise NotImplementedError

    def processes(self, ref: str) -> list[ProcessInfo]:
        """Its processes."""
        raise NotImplementedError

    def changes(self, ref: str) -> list[Change]:
        """What it changed against its image, sorted by path."""
        raise NotImplementedError

    def commit(self, ref: str, request: CommitRequest, progress: ProgressSink | None = None) -> ImageSummary:
        """Make an image of its file system."""
        raise NotImplementedError

    def stats(self, ref: str) -> Stats:
        """One reading; raises Conflict when it does not run."""
        raise NotImplementedError

    def all_stats(self) -> dict[str, Stats]:
        """One reading of each running container, by id."""
        raise NotImplementedError

    # -- images -------------------------------------------------------------------------------------------------

    def images(self) -> list[ImageSummary]:
        """All images, newest first."""
        raise NotImplementedError

    def image(self, image: str) -> ImageSummary:
        """One image."""
        raise NotImplementedError

    def inspect_image(self, image: str) -> dict[str, Any]:
        """Everything about an image, under docker's field names."""
        raise NotImplementedError

    def layers(self, image: str) -> list[LayerInfo]:
        """An image's history with its layers, lowest first."""
        raise NotImplementedError

    def tag(self, image: str, name: str) -> None:
        """Give an image one more name; another image loses it."""
        raise NotImplementedError

    def remove_image(self, image: str, force: bool = False) -> list[str]:
        """Remove a name, and with the last one the image; what was done, a line each."""
        raise NotImplementedError

    def import_image(
        self,
        path: str,
        name: str,
        changes: Sequence[str] = (),
        message: str = "",
        progress: ProgressSink | None = None,
    ) -> ImageSummary:
        """Make a one-layer image of a root file system's tar (plain, gzip or zstd; ``-`` is standard input)."""
        raise NotImplementedError

    def load(self, path: str, progress: ProgressSink | None = None) -> list[ImageSummary]:
        """Load images from an OCI archive or an OCI layout directory."""
        raise NotImplementedError

    def save(self, images: Sequence[str], path: str, progress: ProgressSink | None = None) -> None:
        """Write images to an OCI archive, or to an OCI layout when ``path`` ends in ``/`` or is a directory."""
        raise NotImplementedError

    # -- stacks -------------------------------------------------------------------------------------------------

    def load_stack(self, path: str, name: str = "") -> Stack:
        """Read and check a stack file."""
        raise NotImplementedError

    def stack_config(self, path: str, name: str = "") -> str:
        """The stack file with all interpolated and normalised, as YAML."""
        raise NotImplementedError

    def stacks(self) -> list[StackSummary]:
        """All stacks that have containers or were brought up."""
        raise NotImplementedError

    def plan(self, stack: Stack) -> list[Action]:
        """What `up` would do."""
        raise NotImplementedError

    def up(self, stack: Stack, progress: ProgressSink | None = None) -> list[Action]:
        """Make it so; returns what was done."""
        raise NotImplementedError

    def down(self, name: str, volumes: bool = False, progress: ProgressSink | None = None) -> list[Action]:
        """Stop and remove a stack's containers (by the stack's name)."""
        raise NotImplementedError

    # -- volumes ------------------------------------------------------------------------------------------------

    def volumes(self) -> list[dict[str, Any]]:
        """Named volumes: name, mountpoint, created, size in bytes, used_by."""
        raise NotImplementedError

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container uses."""
        raise NotImplementedError

    # -- the host, the past -------------------------------------------------------------------------------------

    def events(self, since: float | None = None, follow: bool = True) -> Iterator[Event]:
        """Events from ``since`` on (``None``: from now); with ``follow``, for ever."""
        raise NotImplementedError

    def host(self) -> HostInfo:
        """Whose engine this is, and where."""
        raise NotImplementedError

    def host_stats(self) -> HostStats:
        """One reading of the whole machine."""
        raise NotImplementedError

    def doctor(self) -> list[Finding]:
        """Examine the host."""
        raise NotImplementedError

    def check(self) -> list[Finding]:
        """Examine the store, the database and what the kernel holds for us."""
        raise NotImplementedError

    def recover(self) -> list[str]:
        """Sweep what dead monitors left; what was swept, a line each."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of files and sockets; containers go on."""
        raise NotImplementedError
