"""The engine's façade: the only door for the TUI and the command line.

Rooms are imported where they are needed: ``ps`` must not pay for what ``commit`` uses.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pyctr_engine.errors import Conflict, EngineError, NotPermitted
from pyctr_engine.paths import Paths
from pyctr_engine.record import replace

if TYPE_CHECKING:
    import socket
    import threading

    from pyctr_engine.containers.checkpoints import Restored
    from pyctr_engine.containers.context import Context
    from pyctr_engine.containers.explore import Explorer
    from pyctr_engine.model.checkpoint import Checkpoint, Since
    from pyctr_engine.model.event import Event
    from pyctr_engine.model.host import Finding, HostInfo, ProcessInfo
    from pyctr_engine.model.image import ArchiveFormat, Change, ImageSummary, LayerInfo
    from pyctr_engine.model.log import LogLine
    from pyctr_engine.model.network import NetworkUse
    from pyctr_engine.model.past import HealthResult, History, PostMortem
    from pyctr_engine.model.past import Session as ExecSession
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.registry import Pulled, Pushed
    from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ExecRequest, Resources, RestartPolicy
    from pyctr_engine.model.stack import Action, Stack, StackSummary
    from pyctr_engine.model.stats import HostStats, Stats
    from pyctr_engine.model.status import Container
    from pyctr_engine.model.tidy import DiskUsage, Pruned, PruneRequest, Removal, Repair

ProgressSink = Callable[["Progress"], None]


def enter(paths: Paths) -> None:
    """As an ordinary user, enter the user's own namespaces, in which an `Engine` can work; see `pyctr_engine.house`.

    For the whole process, and for good; nothing happens to root. Raises EngineError, with what an administrator can
    do where the host doesn't let the user.
    """
    if os.geteuid() != 0:
        from pyctr_engine.house import entry

        entry.enter(paths.run)


class Session(Protocol):
    """A live connection to a program's standard streams, in its container's monitor."""

    @property
    def id(self) -> str:
        """What names it for `Engine.reattach`; empty for a container's first program."""

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
    an image id or a unique prefix of one. ``image@3``, where a state is asked for, is that after the third layer.
    """

    def __init__(self, paths: Paths | None = None) -> None:
        self.paths = paths or Paths()
        self._waiting: list[socket.socket] = []

    @functools.cached_property
    def _context(self) -> Context:
        from pyctr_engine.containers.context import Context

        if os.geteuid() != 0:
            raise NotPermitted(
                "an ordinary user's engine works in namespaces of the user's own",
                "call `pyctr_engine.engine.enter(paths)` first of all, before any thread is started",
            )
        return Context(self.paths)

    def warm(self) -> None:
        """Make a monitor ready, and the spawner if there is none: for callers that will soon start something.

        Quiet when it fails; the start that needs it will say why.
        """
        from pyctr_engine.containers import spawner

        with contextlib.suppress(EngineError, OSError):
            self._waiting.append(spawner.connect(self.paths))

    def _monitor(self) -> socket.socket:
        """A connection to a monitor that waits for its request."""
        from pyctr_engine.containers import spawner

        with contextlib.suppress(IndexError):
            return self._waiting.pop()
        return spawner.connect(self.paths)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Put off what is owed to others after each of many operations, such as telling peers' names, to the end."""
        from pyctr_engine.containers import hosts

        if self._context.unannounced is not None:
            yield
            return
        self._context.unannounced = set()
        try:
            yield
        finally:
            stacks, self._context.unannounced = self._context.unannounced, None
            for stack in stacks:
                hosts.announce_stack(self._context, stack)

    # -- containers ---------------------------------------------------------------------------------------------

    def containers(self) -> list[Container]:
        """All containers, newest first, dead monitors' containers swept first."""
        from pyctr_engine.containers import listing

        return listing.all_containers(self._context)

    def container(self, ref: str) -> Container:
        """One container."""
        from pyctr_engine.containers import listing

        return listing.one(self._context, ref)

    def create(self, request: ContainerRequest, progress: ProgressSink | None = None) -> Container:
        """Resolve the request, lease what it needs, prepare its file system; don't start it.

        ``progress`` is told of the image's pull, if there is one.
        """
        from pyctr_engine.containers import create, listing

        return listing.view(self._context, create.create(self._context, request, progress=progress))

    def start(self, ref: str) -> Container:
        """Start a created or ended container; a running one is left alone."""
        from pyctr_engine.containers import listing, start
        from pyctr_engine.model.status import State

        container = listing.one(self._context, ref)
        if container.state is State.DEAD:
            raise Conflict(
                f"container {container.name} is dead: its removal failed half way",
                f"`pyctr-tui rm {container.name}` finishes it, or says what is in its way",
            )
        if not container.state.is_alive:
            start.start(self._context, container.spec, attach=False, connection=self._monitor()).close()
        return listing.one(self._context, container.id)

    def run(self, request: ContainerRequest, progress: ProgressSink | None = None) -> tuple[Container, Session]:
        """Create and start, attached from the first byte it writes; what can't be started is removed.

        ``progress``: see `create`.
        """
        from pyctr_engine.containers import create, imaging, listing, remove, spawner, start

        connection = self._monitor()
        with contextlib.ExitStack() as failing:
            failing.callback(connection.close)
            image = imaging.obtain(self._context, request, progress)
            choose_id: Callable[[], str] = str
            if start.can_use_reserve(request):
                spawner.ask_for_id(connection)
                choose_id = functools.partial(spawner.offered_id, connection)
            with self._context.creating():  # or a `prune` would take it before it is started
                spec = create.create(self._context, request, choose_id, image)
                try:
                    session = start.start(self._context, spec, attach=True, connection=connection)
                except BaseException:  # Ctrl+C too
                    remove.remove(self._context, spec, force=True, volumes=True)
                    raise
            failing.pop_all()
        if request.auto_remove:
            session.on_exit = lambda: remove.remove(self._context, spec, force=True, volumes=True, keep_shared=True)
        container = listing.view(self._context, spec)
        if session.plain_binds:  # it may have ended by now
            container = replace(container, status=replace(container.status, plain_binds=session.plain_binds))
        return container, session

    def start_attached(self, ref: str) -> Session:
        """Start, attached from the first byte."""
        from pyctr_engine.containers import start

        return start.start(self._context, self.container(ref).spec, attach=True, connection=self._monitor())

    def attach(self, ref: str) -> Session:
        """Attach to a running container's standard streams."""
        from pyctr_engine.containers import sessions

        return sessions.attach(self._context, self.container(ref))

    def exec(self, ref: str, request: ExecRequest) -> Session:
        """Run a further program in a running container."""
        from pyctr_engine.containers import sessions

        return sessions.exec(self._context, self.container(ref), request)

    def sessions(self, ref: str) -> list[ExecSession]:
        """Its further programs: those that run, and the last few that have ended."""
        from pyctr_engine.containers import sessions

        return sessions.listed(self._context, self.container(ref))

    def reattach(self, ref: str, session: str) -> tuple[Session, bool]:
        """Attach to a further program by its session's id; with whether it has a terminal.

        What it wrote last comes first.
        """
        from pyctr_engine.containers import sessions

        return sessions.reattach(self._context, self.container(ref), session)

    def end_session(self, ref: str, session: str) -> None:
        """End a further program by its session's whole id: SIGHUP, then SIGKILL. Raises NotFound, Conflict."""
        from pyctr_engine.containers import sessions

        sessions.end(self._context, self.container(ref), session)

    def stop(self, ref: str, timeout: float | None = None) -> None:
        """Stop signal, grace, SIGKILL; returns when it has ended."""
        from pyctr_engine.containers import remove

        spec = self.container(ref).spec
        remove.stop(self._context, spec, spec.request.stop_grace if timeout is None else timeout)
        self._context.event("container", "stop", spec.id, spec.name)

    def kill(self, ref: str, signal: str = "KILL") -> None:
        """Send a signal (name with or without SIG, or number) to its first process."""
        from signal import SIGKILL

        from pyctr_engine.containers import remove, resolve
        from pyctr_engine.model.status import State

        container = self.container(ref)
        number = resolve.signal_number(signal)
        final = number in (SIGKILL, resolve.signal_number(container.spec.stop_signal))
        if container.state is State.PAUSED and final:
            remove.unfreeze(self._context, container.spec)
        if not remove.send_signal(self._context, container.spec, number, "kill" if final else ""):
            raise Conflict(
                f"container {container.name} is not running", f"`pyctr-tui start {container.name}` starts it"
            )
        self._context.event("container", "kill", container.id, container.name, signal=str(number))

    def restart(self, ref: str, timeout: float | None = None) -> Container:
        """Stop (if running) and start."""
        self.stop(ref, timeout)
        return self.start(ref)

    def pause(self, ref: str) -> None:
        """Freeze all of its processes."""
        from pyctr_engine.containers import freeze

        freeze.pause(self._context, self.container(ref))

    def unpause(self, ref: str) -> None:
        """Let them go on."""
        from pyctr_engine.containers import freeze

        freeze.unpause(self._context, self.container(ref))

    def rename(self, ref: str, name: str) -> None:
        """Give it another name."""
        from pyctr_engine.containers import change, listing

        change.rename(self._context, listing.find(self._context, ref), name)

    def update(
        self,
        ref: str,
        resources: Resources | Callable[[Resources], Resources] | None = None,
        restart: RestartPolicy | None = None,
    ) -> Container:
        """Change its limits, its restart policy; ``None`` leaves them. All or nothing, at once where it runs.

        ``resources`` are the new limits, or a function that makes them of those that there are when it is called.
        """
        from pyctr_engine.containers import change, listing

        spec = self.container(ref).spec
        return listing.view(self._context, change.update(self._context, spec, resources, restart))

    def resume(self) -> list[tuple[Container, EngineError | None]]:
        """After a boot: start the containers whose restart policy says so; what became of each."""
        from pyctr_engine.containers import resume

        return resume.resume(self.containers(), self.start)

    def wait(self, ref: str) -> int:
        """Block until its program has ended, also if it is to be restarted; its exit code."""
        from pyctr_engine.containers import sessions

        return sessions.wait(self._context, self.container(ref))

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        """Remove a container and all that it leased; ``force`` kills a running one first."""
        from pyctr_engine.containers import listing, remove

        remove.remove(self._context, listing.find(self._context, ref), force, volumes)

    def logs(
        self,
        ref: str,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[LogLine]:
        """What it wrote between two times, oldest first; with ``follow``, until it ends."""
        from pyctr_engine.containers import logs

        container = self.container(ref)

        def alive() -> bool:
            return self.container(container.id).state.is_alive

        return logs.read(self.paths.container(container.id), follow, tail, since, alive, until)

    def log_file(self, ref: str) -> str:
        """Path of the current log file (JSON lines ``{"t":…,"s":"stdout","m":…}``); it may not exist yet."""
        from pyctr_engine.containers import listing
        from pyctr_engine.runtime.logs import log_path

        return log_path(self.paths.container(listing.find(self._context, ref).id))

    def inspect(self, ref: str) -> dict[str, Any]:
        """Everything about it, under docker's field names where they mean the same."""
        from pyctr_engine.containers import inspect

        container = self.container(ref)
        with self._context.lock:
            networks = self._context.networks.list() if container.spec.address else []
        gateway = networks[0].gateway if networks else ""
        return inspect.inspect(self.paths, container, gateway, self._context.cgroups.mode)

    def history(self, ref: str) -> History:
        """What it used in the last hour and day, also when it has ended."""
        from pyctr_engine.containers import history, listing

        return history.read(self._context, listing.find(self._context, ref))

    def start_trace(self, ref: str) -> tuple[tuple[str, float, float], ...]:
        """The steps of a container's last start: name, begin and end in milliseconds; empty for one never started."""
        from pyctr_engine.containers import history

        return history.trace(self.paths.container(self.container(ref).id))

    def why(self, ref: str) -> PostMortem:
        """Why it is as it is: how it ended, and what went before."""
        from pyctr_engine.containers import why

        return why.post_mortem(self._context, self.container(ref))

    def health_results(self, ref: str) -> tuple[HealthResult, ...]:
        """Its last probes, oldest first."""
        from pyctr_engine.containers import history, listing

        id = listing.find(self._context, ref).id
        return history.health(self.paths.run_container(id), self.paths.container(id))

    def processes(self, ref: str) -> list[ProcessInfo]:
        """Its processes."""
        from pyctr_engine.containers import usage

        return usage.processes(self._context, self.container(ref))

    def changes(self, ref: str) -> list[Change]:
        """What it changed against its image, sorted by path."""
        from pyctr_engine.containers import commit

        return commit.changes(self._context, self.container(ref).spec)

    def commit(self, ref: str, request: CommitRequest, progress: ProgressSink | None = None) -> ImageSummary:
        """Make an image of its file system."""
        from pyctr_engine.containers import commit

        image = commit.commit(self._context, self.container(ref), request, progress)
        return self.image(image.id)

    def check_commit(self, request: CommitRequest, paths: Sequence[str] = ()) -> frozenset[str]:
        """Which of ``paths`` (absolute) a commit would leave out. Raises InvalidValue for what could not be done.

        Name, changes and patterns are read as `commit` reads them; nothing is looked at.
        """
        from pyctr_engine.images import commit

        return commit.check(request, paths)

    def checkpoint(self, ref: str, name: str = "", message: str = "") -> Checkpoint:
        """Take a checkpoint of its file system; running, it stands still meanwhile. ``name`` empty: a number."""
        from pyctr_engine.containers import checkpoints

        return checkpoints.take(self._context, self.container(ref).spec, name, message)

    def checkpoints(self, ref: str) -> list[Checkpoint]:
        """Its checkpoints, oldest first."""
        from pyctr_engine.containers import checkpoints

        return checkpoints.all_of(self._context, self.container(ref).spec)

    def since(self, ref: str, checkpoint: str) -> Since:
        """What going back to a checkpoint would undo."""
        from pyctr_engine.containers import checkpoints

        return checkpoints.since(self._context, self.container(ref).spec, checkpoint)

    def restore(self, ref: str, checkpoint: str, timeout: float | None = None) -> Restored:
        """Take its file system back to a checkpoint; running, it is stopped and started again."""
        from pyctr_engine.containers import checkpoints

        return checkpoints.restore(self._context, self.container(ref).spec, checkpoint, timeout)

    def branch(self, ref: str, checkpoint: str, name: str = "") -> Container:
        """A new container, not started, from a checkpoint of another."""
        from pyctr_engine.containers import checkpoints, listing

        made = checkpoints.branch(self._context, self.container(ref).spec, checkpoint, name)
        return listing.view(self._context, made)

    def remove_checkpoint(self, ref: str, checkpoint: str) -> None:
        """Forget a checkpoint; its container stays as it is."""
        from pyctr_engine.containers import checkpoints

        checkpoints.forget(self._context, self.container(ref).spec, checkpoint)

    def export(self, ref: str, path: str, progress: ProgressSink | None = None) -> None:
        """Write its whole file system as a tar; ``-`` is standard output. What is mounted in it is not in it."""
        from pyctr_engine.containers import export

        export.export(self._context, self.container(ref), path, progress)

    def copy_out(
        self,
        ref: str,
        source: str,
        destination: str,
        follow: bool = False,
        owners: bool = False,
        progress: ProgressSink | None = None,
    ) -> None:
        """Copy from inside to the host, running or not; ``-`` as destination is a tar on standard output.

        ``follow``: what a symlink at ``source`` leads to; ``owners``: kept as inside, else they are the caller's.
        ``progress`` is told how many bytes have gone; when it raises Cancelled, what was copied stays.
        """
        from pyctr_engine.containers import copying

        copying.copy_out(self._context, self.container(ref), source, destination, follow, owners, progress)

    def copy_in(
        self,
        ref: str,
        source: str,
        destination: str,
        follow: bool = False,
        owners: bool = False,
        progress: ProgressSink | None = None,
    ) -> None:
        """Copy from the host to inside, running or not; ``-`` as source is a tar on standard input. Else as above."""
        from pyctr_engine.containers import copying

        copying.copy_in(self._context, self.container(ref), source, destination, follow, owners, progress)

    def stats(self, ref: str) -> Stats:
        """One reading; raises Conflict when it does not run."""
        from pyctr_engine.containers import usage

        return usage.stats(self._context, self.container(ref))

    def all_stats(self) -> dict[str, Stats]:
        """One reading of each running container, by id."""
        from pyctr_engine.containers import usage

        return usage.all_stats(self._context)

    # -- images -------------------------------------------------------------------------------------------------

    def images(self) -> list[ImageSummary]:
        """All images, newest first."""
        from pyctr_engine.containers import imaging

        return imaging.images(self._context)

    def image(self, image: str) -> ImageSummary:
        """One image."""
        from pyctr_engine.containers import imaging

        return imaging.image(self._context, image)

    def inspect_image(self, image: str) -> dict[str, Any]:
        """Everything about an image, under docker's field names."""
        return self._context.images.inspect(image)

    def layers(self, image: str) -> list[LayerInfo]:
        """An image's history with its layers, lowest first."""
        return self._context.images.layers(image)

    @functools.cached_property
    def explore(self) -> Explorer:
        """What is in images and layers, and how images, containers and checkpoints differ."""
        from pyctr_engine.containers.explore import Explorer

        return Explorer(self._context)

    def tag(self, image: str, name: str) -> None:
        """Give an image one more name; another image loses it."""
        familiar = self._context.images.tag(image, name)
        self._context.event("image", "tag", self._context.images.find(familiar).id, familiar)

    def remove_image(self, image: str, force: bool = False) -> list[str]:
        """Remove a name, and with the last one the image; what was done, a line each."""
        from pyctr_engine.containers import imaging

        return imaging.remove(self._context, image, force)

    def import_image(
        self,
        path: str,
        name: str,
        changes: Sequence[str] = (),
        message: str = "",
        progress: ProgressSink | None = None,
    ) -> ImageSummary:
        """Make a one-layer image of a root file system's tar (plain, gzip or zstd; ``-`` is standard input)."""
        made = self._context.images.import_tar(path, name, changes, message, progress)
        self._context.event("image", "import", made.id, name)
        return self.image(made.id)

    def load(self, path: str, progress: ProgressSink | None = None) -> list[ImageSummary]:
        """Load images from an OCI archive or layout or from docker's archive, with the names that it gives them."""
        loaded = [
            replace(self.image(image.id), names=image.names) for image in self._context.images.load(path, progress)
        ]
        for image in loaded:
            self._context.event("image", "load", image.id, image.names[0] if image.names else "")
        return loaded

    def save(
        self, images: Sequence[str], path: str, progress: ProgressSink | None = None, format: ArchiveFormat = ""
    ) -> None:
        """Write images to an archive, or to an OCI layout when ``path`` ends in ``/`` or is a directory.

        ``format``: ``oci`` or ``docker``; without, an archive that both can load.
        """
        self._context.images.save(images, path, progress, format)

    # -- registries ---------------------------------------------------------------------------------------------

    def pull(
        self,
        name: str,
        platform: str = "",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pulled:
        """Fetch an image from its registry and name it.

        Args:
            name: ``nginx``, ``host:port/path:tag``, ``name@sha256:…``.
            platform: ``os/architecture[/variant]``; empty for this machine's.
            progress: Told of each layer (12 digits of its digest): ``downloading`` and ``unpacking`` with bytes.
            cancel: Set it in any thread to end the pull: Cancelled is raised, and nothing half-done is left.
        """
        from pyctr_engine.containers import imaging

        return imaging.pull(self._context, name, platform, progress, cancel)

    def push(
        self,
        name: str,
        compression: str = "gzip",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pushed:
        """Send an image to the registry that its name names.

        Layers that are uncompressed here are compressed on the way: ``gzip``, ``zstd``, or ``none``.
        """
        from pyctr_engine.containers import imaging

        return imaging.push(self._context, name, compression, progress, cancel)

    def registry_tags(self, name: str) -> list[str]:
        """All tags of a repository, as its registry lists them."""
        from pyctr_engine.images.registry import login

        return login.tags(name)

    def login(self, server: str, username: str = "", password: str = "") -> str:
        """Try credentials for a registry (empty: docker.io) and keep them; where they are now.

        Without a user name: try those that are kept.
        """
        from pyctr_engine.images.registry import login

        return login.login(server, username, password)

    def login_name(self, server: str) -> str:
        """Whose credentials are kept for a registry; empty for none."""
        from pyctr_engine.images.registry import login

        return login.kept_username(server)

    def logout(self, server: str) -> bool:
        """Forget the credentials for a registry; whether there were any."""
        from pyctr_engine.images.registry import login

        return login.logout(server)

    # -- stacks -------------------------------------------------------------------------------------------------

    def load_stack(self, path: str, name: str = "") -> Stack:
        """Read and check a stack file."""
        from pyctr_engine.stacks import load

        return load.load(path, name)

    def check_stack(self, path: str, text: str, name: str = "") -> Stack:
        """As `load_stack`, of what is being written: ``text`` in the place of what the file holds."""
        from pyctr_engine.stacks import load

        return load.load(path, name, text=text)

    def stack_config(self, path: str, name: str = "") -> str:
        """The stack file with all interpolated and normalised, as YAML."""
        from pyctr_engine.stacks import load

        return load.config(path, name)

    def stacks(self) -> list[StackSummary]:
        """All stacks that have containers or were brought up."""
        from pyctr_engine.stacks.store import StackStore

        with self._context.lock:
            return StackStore(self._context.database).summaries(self.containers())

    def plan(self, stack: Stack) -> list[Action]:
        """What `up` would do."""
        from pyctr_engine.stacks import images, plan

        return plan.plan(stack, self.containers(), images.image_ids(self, stack))

    def up(
        self,
        stack: Stack,
        progress: ProgressSink | None = None,
        pull: str = "",
        cancel: threading.Event | None = None,
    ) -> list[Action]:
        """Make it so; returns what was done. ``pull`` replaces the services' ``pull_policy``.

        When ``cancel`` is set, what is under way is finished, no more is begun, and Cancelled is raised.
        """
        from pyctr_engine.stacks import reconcile
        from pyctr_engine.stacks.store import StackStore

        with self._context.lock:
            store = StackStore(self._context.database)
            store.remember(stack)
        try:
            return reconcile.up(self, stack, progress, pull, cancel)
        except BaseException:
            with self._context.lock:  # what never came to be has no name
                if not any(container.stack == stack.name for container in self.containers()):
                    store.forget(stack.name)
            raise

    def pull_stack(
        self, stack: Stack, progress: ProgressSink | None = None, cancel: threading.Event | None = None
    ) -> None:
        """Pull the images of a stack, whether they are here or not; not those with ``pull_policy: never``."""
        from pyctr_engine.stacks import reconcile

        reconcile.pull(self, stack, progress, cancel)

    def down(
        self,
        name: str,
        volumes: bool = False,
        progress: ProgressSink | None = None,
        path: str = "",
        cancel: threading.Event | None = None,
    ) -> list[Action]:
        """Stop and remove a stack's containers (by the stack's name), with ``volumes`` its volumes too.

        ``path`` is its file, if at hand: it knows of volumes that no container is left to name. ``cancel``: see `up`.
        """
        from pyctr_engine.stacks import reconcile
        from pyctr_engine.stacks.store import StackStore

        with self._context.lock:
            store = StackStore(self._context.database)
            path = path or store.path(name)
        declared: tuple[str, ...] = ()
        if volumes and path:
            with contextlib.suppress(EngineError):  # the file is gone or broken: its containers' labels know too
                declared = self.load_stack(path, name).volumes
        done = reconcile.down(self, name, volumes=volumes, progress=progress, declared=declared, cancel=cancel)
        with self._context.lock:
            store.forget(name)
        return done

    # -- networks -----------------------------------------------------------------------------------------------

    def networks(self) -> list[NetworkUse]:
        """All networks with who is on them; ``host`` and ``none`` at the end where a container is on these."""
        from pyctr_engine.containers import networks

        return networks.networks(self._context)

    # -- volumes ------------------------------------------------------------------------------------------------

    def volumes(self) -> list[dict[str, Any]]:
        """Named volumes: name, mountpoint, created, size in bytes, used_by."""
        from pyctr_engine.containers import storage

        return storage.volumes(self._context)

    def create_volume(self, name: str) -> None:
        """Make a volume. Raises Conflict when there is one of that name, InvalidValue for one that can't be."""
        from pyctr_engine.containers import storage

        storage.create(self._context, name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container uses."""
        from pyctr_engine.containers import remove

        remove.remove_volume(self._context, name)

    # -- the host, the past -------------------------------------------------------------------------------------

    def events(self, since: float | None = None, follow: bool = True, until: float | None = None) -> Iterator[Event]:
        """Events from ``since`` on (``None``: from now); with ``follow``, until ``until`` or for ever."""
        from pyctr_engine import events

        return events.read(self.paths.events, since, follow, until)

    def host(self) -> HostInfo:
        """Whose engine this is, and where."""
        from pyctr_engine.host import info

        return info.info(self._context.cgroup_parent)

    def host_stats(self) -> HostStats:
        """One reading of the whole machine."""
        from pyctr_engine.host import stats

        return stats.stats()

    def doctor(self) -> list[Finding]:
        """Examine the host."""
        from pyctr_engine.containers import examine
        from pyctr_engine.host import doctor

        return [*doctor.doctor(self.paths), *examine.findings()]

    def check(self) -> list[Finding]:
        """Examine the store, the database and what the kernel holds for us; changes nothing."""
        from pyctr_engine.containers import check

        return check.check(self._context)

    def repair(self) -> list[Repair]:
        """Mend what `check` finds, as far as it can be; what was done, and what could not be.

        Layers are unpacked again from their blobs, images that can't be had any more are dropped, what belongs to
        nobody is removed. What a container needs is left, and said so.
        """
        from pyctr_engine.containers import repair

        return repair.repair(self._context)

    def disk_usage(self) -> DiskUsage:
        """What takes room on the disk; looks at every file."""
        from pyctr_engine.containers import diskusage

        return diskusage.disk_usage(self._context)

    def removal(self, containers: Sequence[str] = (), images: Sequence[str] = ()) -> Removal:
        """What removing these would take with it, and how many bytes it would give back; looks at every file.

        Raises NotFound for one that isn't there.
        """
        from pyctr_engine.containers import removal

        return removal.removal(self._context, containers, images)

    def prune(
        self,
        request: PruneRequest,
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pruned:
        """Remove what nobody uses, as far as the request goes. ``cancel``: see `up`."""
        from pyctr_engine.containers import prune

        return prune.prune(self._context, request, progress, cancel)

    def recover(self) -> list[str]:
        """Sweep what dead monitors left; what was swept, a line each."""
        from pyctr_engine.containers import remove

        return remove.recover(self._context)

    def close(self) -> None:
        """Let go of files and sockets; containers go on."""
        from pyctr_engine.containers import spawner

        while self._waiting:
            self._waiting.pop().close()
        spawner.reap_intermediate()
        if "_context" in self.__dict__ and "usage" in self._context.__dict__:
            self._context.usage.close()
        if "_context" in self.__dict__ and "database" in self._context.__dict__:
            self._context.database.close()
