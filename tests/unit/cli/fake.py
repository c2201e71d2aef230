"""An engine that remembers what it was asked, and answers from what a test put into it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyctr_engine.containers.session import StreamSession
from pyctr_engine.engine import Engine, ProgressSink, Session
from pyctr_engine.errors import EngineError, NotFound
from pyctr_engine.model.event import Event
from pyctr_engine.model.host import Finding, ProcessInfo
from pyctr_engine.model.image import ArchiveFormat, Change, ImageSummary, LayerInfo
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.past import PostMortem
from pyctr_engine.model.past import Session as ExecSession
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference
from pyctr_engine.model.registry import Pulled, Pushed
from pyctr_engine.model.spec import (
    CommitRequest,
    ContainerRequest,
    ContainerSpec,
    ExecRequest,
    IdExtent,
    Port,
    Resources,
    RestartPolicy,
)
from pyctr_engine.model.stack import Action, Stack, StackSummary
from pyctr_engine.model.stats import HostStats, Stats
from pyctr_engine.model.status import Container, ContainerStatus, State
from pyctr_engine.model.tidy import DiskUsage, Pruned, PruneRequest, Repair
from pyctr_engine.runtime import protocol

ID = "0123456789abcdef" * 4

Program = Callable[["Monitor"], int]
"""What stands for a container's program: gets the monitor's end of the session, returns its exit code."""


class Monitor:
    """The other end of a session, speaking the real protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = protocol.FrameReader()
        self._frames: list[tuple[bytes, bytes]] = []

    def send(self, kind: bytes, data: bytes) -> None:
        self._connection.sendall(protocol.frame(kind, data))

    def receive(self) -> tuple[bytes, bytes]:
        """The next frame from the client; two empty ones when it has gone."""
        while not self._frames:
            data = self._connection.recv(65536)
            if not data:
                return b"", b""
            self._frames = self._reader.feed(data)
        return self._frames.pop(0)

    def vanish(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)

    def exit(self, code: int) -> None:
        self.send(protocol.EXIT, json.dumps({"code": code}).encode())


def session(program: Program) -> Session:
    """A session with ``program`` at its other end, in a thread."""
    ours, theirs = socket.socketpair()

    def play() -> None:
        monitor = Monitor(theirs)
        try:
            monitor.exit(program(monitor))
        except OSError:
            pass  # it vanished, or its client has gone
        finally:
            theirs.close()

    threading.Thread(target=play, daemon=True).start()
    return StreamSession(ours)


def ends_with(code: int, output: bytes = b"") -> Program:
    """A program that writes ``output`` and ends."""

    def program(monitor: Monitor) -> int:
        if output:
            monitor.send(protocol.STDOUT, output)
        return code

    return program


def container(
    name: str = "web",
    state: State = State.RUNNING,
    request: ContainerRequest | None = None,
    ports: tuple[Port, ...] = (),
    id: str = ID,
    argv: tuple[str, ...] = ("sleep", "1000"),
    created: float = 0.0,
    ids: tuple[IdExtent, ...] = (),
    **status: Any,
) -> Container:
    request = request or ContainerRequest(image="pyctr/base:latest")
    spec = ContainerSpec(
        id=id,
        name=name,
        image=request.image,
        image_id="sha256:" + "ab" * 32,
        argv=argv,
        request=request,
        env=(),
        working_dir="/",
        user="",
        hostname=name,
        stop_signal="TERM",
        mounts=request.mounts,
        labels=request.labels,
        chain=(),
        ids=ids,
        address="",
        created=created,
    )
    return Container(spec, ContainerStatus(state, **status), ports)


class FakeEngine(Engine):
    """What happens is in ``calls``: a method's name and its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.containers_: list[Container] = []
        self.images_: list[ImageSummary] = []
        self.layers_: list[LayerInfo] = []
        self.changes_: list[Change] = []
        self.logs_: dict[str, list[LogLine]] = {}
        self.events_: list[Event] = []
        self.findings_: list[Finding] = []
        self.volumes_: list[dict[str, Any]] = []
        self.stats_: list[dict[str, Stats]] = []
        self.actions_: list[Action] = []
        self.progress_: list[Progress] = []
        self.inspected_: dict[str, dict[str, Any]] = {}
        self.processes_: list[ProcessInfo] = []
        self.plain_binds_: tuple[str, ...] = ()
        self.ids_: tuple[IdExtent, ...] = ()
        self.stack_ = Stack("hello", "/srv/hello.yaml", ())
        self.program: Program = ends_with(0)
        self.repairs_: list[Repair] = []
        self.pruned_ = Pruned()
        self.usage_ = DiskUsage((), (), (), (), (), 0)
        self.warnings_: tuple[str, ...] = ()
        self.login_name_ = ""
        self.resumed_: list[tuple[Container, EngineError | None]] = []
        self.sessions_: list[ExecSession] = []
        self.why_: PostMortem | None = None
        self.failure: EngineError | None = None

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def warm(self) -> None:
        self.calls.append(("warm",))

    def close(self) -> None:
        pass

    def containers(self) -> list[Container]:
        return self.containers_

    def container(self, ref: str) -> Container:
        for found in self.containers_:
            if ref in (found.name, found.id):
                return found
        raise NotFound(f"there is no container {ref}", "`pyctr-tui ps -a` lists containers")

    def create(self, request: ContainerRequest, progress: ProgressSink | None = None) -> Container:
        self._called("create", request)
        return container("made", State.CREATED, request, ids=self.ids_)

    def start(self, ref: str) -> Container:
        self._called("start", ref)
        return container(plain_binds=self.plain_binds_)

    def run(self, request: ContainerRequest, progress: ProgressSink | None = None) -> tuple[Container, Session]:
        self._called("run", request)
        made = container("made", State.RUNNING, request, ids=self.ids_, plain_binds=self.plain_binds_)
        return made, session(self.program)

    def start_attached(self, ref: str) -> Session:
        self._called("start_attached", ref)
        return session(self.program)

    def attach(self, ref: str) -> Session:
        self._called("attach", ref)
        return session(self.program)

    def exec(self, ref: str, request: ExecRequest) -> Session:
        self._called("exec", ref, request)
        return session(self.program)

    def stop(self, ref: str, timeout: float | None = None) -> None:
        self.container(ref)
        self._called("stop", ref, timeout)

    def kill(self, ref: str, signal: str = "KILL") -> None:
        self._called("kill", ref, signal)

    def wait(self, ref: str) -> int:
        self._called("wait", ref)
        return 3

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        self.calls.append(("remove", ref, force, volumes))

    def rename(self, ref: str, name: str) -> None:
        self._called("rename", ref, name)

    def update(
        self,
        ref: str,
        resources: Resources | Callable[[Resources], Resources] | None = None,
        restart: RestartPolicy | None = None,
    ) -> Container:
        found = self.container(ref)
        made = resources(found.spec.request.resources) if callable(resources) else resources
        self._called("update", ref, made, restart)
        return found

    def resume(self) -> list[tuple[Container, EngineError | None]]:
        return self.resumed_

    def sessions(self, ref: str) -> list[ExecSession]:
        self._called("sessions", ref)
        return self.sessions_

    def reattach(self, ref: str, session_: str) -> tuple[Session, bool]:
        self._called("reattach", ref, session_)
        return session(self.program), False

    def copy_out(self, ref: str, source: str, destination: str, follow: bool = False, owners: bool = False) -> None:
        self._called("copy_out", ref, source, destination, follow, owners)

    def copy_in(self, ref: str, source: str, destination: str, follow: bool = False, owners: bool = False) -> None:
        self._called("copy_in", ref, source, destination, follow, owners)

    def why(self, ref: str) -> PostMortem:
        assert self.why_ is not None
        return self.why_

    def logs(
        self,
        ref: str,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[LogLine]:
        self._called("logs", ref, follow, tail, since)
        return iter([line for line in self.logs_[ref] if until is None or line.time <= until])

    def inspect(self, ref: str) -> dict[str, Any]:
        if ref not in self.inspected_:
            raise NotFound(f"there is no container {ref}")
        return self.inspected_[ref]

    def inspect_image(self, image: str) -> dict[str, Any]:
        raise NotFound(f"there is no image {image}")

    def processes(self, ref: str) -> list[ProcessInfo]:
        return self.processes_

    def changes(self, ref: str) -> list[Change]:
        return self.changes_

    def commit(self, ref: str, request: CommitRequest, progress: ProgressSink | None = None) -> ImageSummary:
        self._called("commit", ref, request)
        for step in self.progress_:
            if progress:
                progress(step)
        return ImageSummary("sha256:" + "cd" * 32, (request.name,), 0.0, 1, 1, "sha256:" + "ef" * 32)

    def all_stats(self) -> dict[str, Stats]:
        return self.stats_.pop(0)

    def images(self) -> list[ImageSummary]:
        return self.images_

    def layers(self, image: str) -> list[LayerInfo]:
        return self.layers_

    def remove_image(self, image: str, force: bool = False) -> list[str]:
        self._called("remove_image", image, force)
        return [f"Untagged: {image}"]

    def load_stack(self, path: str, name: str = "") -> Stack:
        self._called("load_stack", path, name)
        return self.stack_

    def stacks(self) -> list[StackSummary]:
        return [StackSummary("hello", "/srv/hello.yaml", 1, 2)]

    def pull(
        self,
        name: str,
        platform: str = "",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pulled:
        self._called("pull", name, platform, *(["quietly"] if progress is None else []))
        for step in self.progress_:
            if progress:
                progress(step)
        reference = Reference.parse(name)
        return Pulled(
            ImageSummary(ID, (name,), None, 0, 1, ""), reference.canonical, "sha256:0", True, self.warnings_
        )

    def push(
        self,
        name: str,
        compression: str = "gzip",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pushed:
        self._called("push", name, compression)
        return Pushed(Reference.parse(name).canonical, "sha256:0", 7)

    def pull_stack(self, stack: Stack, progress: ProgressSink | None = None) -> None:
        self._called("pull_stack", stack.name)

    def registry_tags(self, name: str) -> list[str]:
        self._called("registry_tags", name)
        return ["1", "2"]

    def login(self, server: str, username: str = "", password: str = "") -> str:
        self._called("login", server, username, password)
        return "/root/.docker/config.json"

    def login_name(self, server: str) -> str:
        return self.login_name_

    def logout(self, server: str) -> bool:
        self._called("logout", server)
        return bool(self.login_name_)

    def up(self, stack: Stack, progress: ProgressSink | None = None, pull: str = "") -> list[Action]:
        self._called("up", stack.name, *([pull] if pull else []))
        for step in self.progress_:
            if progress:
                progress(step)
        return self.actions_

    def down(
        self, name: str, volumes: bool = False, progress: ProgressSink | None = None, path: str = ""
    ) -> list[Action]:
        self._called("down", name, volumes)
        return self.actions_

    def volumes(self) -> list[dict[str, Any]]:
        return self.volumes_

    def events(self, since: float | None = None, follow: bool = True, until: float | None = None) -> Iterator[Event]:
        self._called("events", since, follow)
        return iter(self.events_)

    def host_stats(self) -> HostStats:
        return HostStats(0.0, 2, 0, 0, 0, 1 << 30)

    def doctor(self) -> list[Finding]:
        return self.findings_

    def check(self) -> list[Finding]:
        return self.findings_

    def repair(self) -> list[Repair]:
        self._called("repair")
        return self.repairs_

    def prune(self, request: PruneRequest) -> Pruned:
        self._called("prune", request)
        return self.pruned_

    def disk_usage(self) -> DiskUsage:
        return self.usage_

    def import_image(
        self,
        path: str,
        name: str,
        changes: Sequence[str] = (),
        message: str = "",
        progress: ProgressSink | None = None,
    ) -> ImageSummary:
        self._called("import_image", path, name, list(changes), message)
        return ImageSummary("sha256:" + "cd" * 32, (name,), 0.0, 1, 1, "sha256:" + "ef" * 32)

    def load(self, path: str, progress: ProgressSink | None = None) -> list[ImageSummary]:
        self._called("load", path, progress is None)
        one, two = "sha256:" + "cd" * 32, "sha256:" + "ab" * 32
        return [
            ImageSummary(one, ("app:1", "app:2"), 0.0, 1, 1, "sha256:" + "ef" * 32),
            ImageSummary(two, (), 0.0, 1, 1, "sha256:" + "fe" * 32),
        ]

    def save(
        self, images: Sequence[str], path: str, progress: ProgressSink | None = None, format: ArchiveFormat = ""
    ) -> None:
        self._called("save", list(images), path, format)

    def export(self, ref: str, path: str) -> None:
        self._called("export", ref, path)
