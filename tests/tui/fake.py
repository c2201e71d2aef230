"""A made-up engine: the stacks of the mock-ups with figures that move, the same ones on every run."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pyctr_engine.containers.checkpoints import Restored
from pyctr_engine.engine import Engine, ProgressSink
from pyctr_engine.errors import Cancelled, Conflict, InvalidStack, InvalidValue, NotFound
from pyctr_engine.model.checkpoint import Checkpoint, Since
from pyctr_engine.model.event import Event
from pyctr_engine.model.host import Finding, HostInfo, ProcessInfo
from pyctr_engine.model.image import Change, ImageSummary, LayerInfo
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.network import Member, Network, NetworkUse
from pyctr_engine.model.past import History, PastProcess, PostMortem
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.registry import Pulled, Pushed
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ContainerSpec, Port, Resources, RestartPolicy
from pyctr_engine.model.stack import Action, Stack, StackSummary
from pyctr_engine.model.stats import HostStats, Pressure, Stats
from pyctr_engine.model.status import Container, ContainerStatus, State
from pyctr_engine.model.tidy import (
    ContainerUsage,
    DiskUsage,
    ImageUsage,
    Pruned,
    PruneRequest,
    Removal,
    RemovedVolume,
    Repair,
    Usage,
    VolumeUsage,
)
from tests.tui.fake_explorer import FakeExplorer

START = 1_789_480_920.0
"""The fake's idea of now, when it is not given a clock: 14:02 somewhere."""
K, M, G = 1 << 10, 1 << 20, 1 << 30
HOUR = 3600.0


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


IMAGES: tuple[tuple[str, int, float], ...] = (
    ("crawler:4", 212 * M, 0.1), ("app:dev", 341 * M, 1), ("postgres:16", 431 * M, 24), ("nginx:1.27", 68 * M, 30),
    ("prometheus:3", 271 * M, 300), ("grafana:11", 448 * M, 500), ("debian:12", 117 * M, 900),
    ("pyctr/base:latest", 31 * M, 2000),
)  # fmt: skip

LAYERS: tuple[tuple[str, int], ...] = (
    ("debian:12 rootfs", 117 * M),
    ("/bin/sh -c apt-get install -y python3 ca-certificates", 22 * M),
    ("/bin/sh -c #(nop) WORKDIR /app", 0),
    ("RUN pip install -r requirements.txt", 61 * M),
    ("ENV PYTHONUNBUFFERED=1", 0),
    ("COPY src/ /app", 12 * M),
)

# stack, service, image, seconds since the start (negative: since the end), cpu, memory, limit, net out, net in, port
ROWS: tuple[tuple[str, str, str, float, float, int, int | None, int, int, int], ...] = (
    ("shop", "web-1", "nginx:1.27", 3 * HOUR, 0.12, 38 * M, 128 * M, 48 * K, 12 * K, 8080),
    ("shop", "web-2", "nginx:1.27", 3 * HOUR, 0.06, 35 * M, 128 * M, 21 * K, 6 * K, 8081),
    ("shop", "db-1", "postgres:16", 3 * HOUR, 0.03, 180 * M, 512 * M, 4 * K, 9 * K, 0),
    ("shop", "migrate-1", "app:dev", -2 * HOUR, 0, 0, None, 0, 0, 0),
    ("crawler", "fetch-1", "crawler:4", 720, 0.68, 910 * M, 1 * G, 1 * K, 4300 * K, 0),
    ("crawler", "parse-1", "crawler:4", 900, 0.0, 120 * M, 512 * M, 0, 0, 0),
    ("crawler", "index-1", "crawler:4", -237, 0, 0, 512 * M, 0, 0, 0),
    ("monitoring", "prom", "prometheus:3", 6 * 86400, 0.01, 71 * M, 256 * M, 2 * K, 11 * K, 9090),
    ("monitoring", "grafana", "grafana:11", 6 * 86400, 0.006, 25 * M, 256 * M, 0, 0, 3000),
    ("", "brave-otter", "debian:12", 41, 0.0, 4 * M, None, 0, 0, 0),
    ("", "sleepy-finch", "pyctr/base:latest", 2 * 86400, 0.0, 5 * M, None, 0, 0, 0),
)


class FakeSession:
    """A shell that echoes what it is told and ends on ``exit`` or Ctrl+D."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.write(self._writing, b"fake shell: Ctrl+D ends it\r\n$ ")
        self._ended = False
        self.id = os.urandom(6).hex()
        self.sizes: list[tuple[int, int]] = []

    def fileno(self) -> int:
        return self._reading

    def read(self) -> tuple[str, bytes]:
        if self._ended:
            return "exit", b"3"
        return "stdout", os.read(self._reading, 4096)

    def write(self, data: bytes) -> None:
        if b"\x04" in data:
            self._ended = True
            os.write(self._writing, b"!")
        else:
            os.write(self._writing, data.replace(b"\r", b"\r\n$ "))

    def close_stdin(self) -> None:
        pass

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    def wait(self) -> int:
        return 3

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class FakeEngine(Engine):
    """All of the engine that the interface uses, in memory. ``calls`` records what was done, by method name."""

    def __init__(self, clock: Callable[[], float] = lambda: START, copies: int = 0, logs: str = "") -> None:
        super().__init__()
        self.clock = clock
        self.now = clock()
        self.calls: list[tuple[Any, ...]] = []
        self.lock = threading.RLock()
        self.threads: set[str] = set()
        self._own_dir = (
            None if logs else tempfile.TemporaryDirectory(prefix="pyctr-fake-", ignore_cleanup_errors=True)
        )
        self.logs_dir = logs or self._own_dir.name  # type: ignore[union-attr]
        self._listeners: list[queue.Queue[Event]] = []
        self._rows: dict[str, tuple[float, int, int | None, int, int]] = {}
        self._counters: dict[str, Stats] = {}
        self._containers: dict[str, Container] = {}
        self._images = [self._image(name, size, hours) for name, size, hours in IMAGES]
        for row in ROWS:
            self._add(*row)
        for number in range(copies):
            self._add("load", f"worker-{number + 1}", "pyctr/base:latest", 60, 0.05, 8 * M, 64 * M, 10, 10, 0)
        self._host_calls = 0
        self._past = self._history()
        self.explore = FakeExplorer()  # type: ignore[assignment]
        self.fail: dict[str, Exception] = {}
        self._volumes: dict[str, tuple[int, list[str]]] = {
            "shop_data": (2900 * M, ["shop-db-1"]),
            "crawler_cache": (210 * M, ["crawler-fetch-1", "crawler-parse-1"]),
            "backup": (12 * M, []), digest("unnamed"): (96 * M, []),
        }  # fmt: skip
        self.hold = threading.Event()
        self.hold.set()
        self._points: dict[str, list[Checkpoint]] = {}
        self.recorded: dict[str, History] = {}

    # -- making it up -------------------------------------------------------------------------------------------

    def _image(self, name: str, size: int, hours: float) -> ImageSummary:
        return ImageSummary(
            f"sha256:{digest(name)}", (name,), self.now - hours * HOUR, size, 6 if name.startswith("crawler") else 3,
            f"sha256:{digest(name + 'm')}",
        )  # fmt: skip

    def _add(
        self, stack: str, service: str, image: str, since: float, cpu: float, memory: int, limit: int | None,
        out: int, into: int, port: int,
    ) -> None:  # fmt: skip
        name = f"{stack}-{service}" if stack else service
        id = digest(name)
        request = ContainerRequest(
            image=image, stack=stack, service=service.rpartition("-")[0] or service,
            resources=Resources(memory=limit, cpus=2.0 if limit else None, pids=128),
        )  # fmt: skip
        spec = ContainerSpec(
            id=id, name=name, image=image, image_id=f"sha256:{digest(image)}", argv=("python3", "-m", service),
            request=request, env=(), working_dir="/", user="", hostname=name, stop_signal="TERM", mounts=(),
            labels={}, chain=(), ids=(), address="10.0.0.2/16", created=self.now - abs(since) - 5,
        )  # fmt: skip
        status = ContainerStatus(State.RUNNING, 100, None, self.now - since, start_ms=5.0)
        if since < 0:
            oom = service == "index-1"
            status = ContainerStatus(
                State.EXITED, 0, 137 if oom else 0, self.now + since - 600, self.now + since, oom_killed=oom
            )
        if service == "parse-1":
            status = replace(status, state=State.PAUSED)
        ports = (Port(80 if port < 9000 and port != 3000 else port, port),) if port else ()
        self._containers[id] = Container(spec, status, ports)
        self._rows[id] = (cpu, memory, limit, out, into)

    def _history(self) -> list[Event]:
        def event(ago: float, type: str, action: str, name: str, **attributes: str) -> Event:
            return Event(self.now - ago, type, action, digest(name), name, attributes)

        return [
            event(10780, "stack", "up", "shop", detail="3 started, 1 unchanged"),
            event(3000, "image", "commit", "app:dev", size="4299161"),
            event(1320, "container", "pause", "crawler-parse-1"),
            event(1080, "container", "kill", "monitoring-grafana", signal="HUP"),
            event(237, "container", "oom", "crawler-index-1", limit=str(512 * M)),
            event(237, "container", "die", "crawler-index-1", exitCode="137"),
            event(41, "container", "start", "brave-otter", startMs="5", image="debian:12"),
        ]

    def wave(self, id: str, at: float) -> float:
        """Between 0.4 and 1.2, different for each container."""
        seed = int(id[:4], 16)
        slow = math.sin(at / 83 + seed) * 0.25 + math.sin(at / 31 + seed * 3) * 0.12
        return 0.8 + slow + math.sin(at * 1.7 + seed) * 0.04

    def stats_at(self, id: str, at: float) -> Stats:
        cpu, memory, limit, out, into = self._rows[id]
        wave = self.wave(id, at)
        before = self._counters.get(id) or Stats(at - 1, periods=0, throttled_periods=0, read_bytes=0, write_bytes=0)
        passed = at - before.time if at > before.time else 1.0  # a clock that stands still: a second a reading
        used = int(memory * (0.75 + wave * 0.27)) if cpu > 0.02 else memory
        busy = cpu * wave
        throttled = cpu > 0.5
        stats = Stats(
            time=before.time + passed,
            cpu_usec=before.cpu_usec + int(busy * passed * 1e6),
            cpu_limit=2.0 if limit else None,
            periods=before.periods + 1000,
            throttled_periods=before.throttled_periods + (41 if throttled else 0),
            memory=used, memory_limit=limit, anon=int(used * 0.88), file=int(used * 0.105), kernel=int(used * 0.013),
            pids=5 if cpu > 0.1 else 2, pids_limit=128,
            read_bytes=before.read_bytes,
            write_bytes=before.write_bytes + int((1.2 * M if throttled else 900) * wave**3 * passed) * (cpu > 0.02),
            rx_bytes=before.rx_bytes + int(into * wave * passed),
            tx_bytes=before.tx_bytes + int(out * wave * passed),
            cpu_pressure=Pressure(2.1 * wave if throttled else 0.0, 0.0),
            memory_pressure=Pressure(8.4 * wave if throttled else 0.0, 0.0),
            io_pressure=Pressure(0.3 * wave if throttled else 0.0, 0.0),
        )  # fmt: skip
        self._counters[id] = stats
        return stats

    def _find(self, ref: str) -> Container:
        with self.lock:
            for container in self._containers.values():
                if container.id.startswith(ref) or container.name == ref:
                    return container
        raise NotFound(f"no container “{ref}”", "`pyctr-tui ps -a` lists them")

    def _note(self, name: str, *arguments: object) -> None:
        self.threads.add(threading.current_thread().name)
        self.calls.append((name, *arguments))
        if name in self.fail:
            raise self.fail[name]

    def _change(self, ref: str, action: str, **status: Any) -> Container:
        with self.lock:
            container = self._find(ref)
            container = replace(container, status=replace(container.status, **status))
            self._containers[container.id] = container
        self.emit(Event(self.clock(), "container", action, container.id, container.name))
        return container

    def emit(self, event: Event) -> None:
        for listener in list(self._listeners):
            listener.put(event)

    # -- the engine's methods -----------------------------------------------------------------------------------

    def containers(self) -> list[Container]:
        self.threads.add(threading.current_thread().name)
        if "containers" in self.fail:
            raise self.fail["containers"]
        with self.lock:
            return list(self._containers.values())

    def container(self, ref: str) -> Container:
        return self._find(ref)

    def create(self, request: ContainerRequest, progress: ProgressSink | None = None) -> Container:
        self._note("create", request)
        if not request.name:
            request = replace(request, name="quick-badger")
        with self.lock:
            self._add(request.stack, request.name, request.image, 0, 0.01, M, None, 0, 0, 0)
            container = self._find(digest(f"{request.stack}-{request.name}" if request.stack else request.name))
        self.emit(Event(self.clock(), "container", "create", container.id, container.name))
        return container

    def start(self, ref: str) -> Container:
        self._note("start", self._find(ref).name)
        return self._change(ref, "start", state=State.RUNNING, started_at=self.clock(), oom_killed=False)

    def stop(self, ref: str, timeout: float | None = None) -> None:
        self._note("stop", self._find(ref).name)
        self._change(ref, "die", state=State.EXITED, exit_code=0, finished_at=self.clock())

    def update(self, ref: str, resources: Any = None, restart: RestartPolicy | None = None) -> Container:
        found = self._find(ref)
        after = found.spec.request.resources if resources is None else resources(found.spec.request.resources)
        if after.memory is not None and after.memory < 6 << 20:
            raise InvalidValue(f"a memory limit of {after.memory} bytes is too small", "6m is the least")
        self._note("update", found.name, after, *((restart,) if restart is not None else ()))
        request = replace(found.spec.request, resources=after, restart=restart or found.spec.request.restart)
        self._containers[found.id] = replace(found, spec=replace(found.spec, request=request))
        return self._containers[found.id]

    def kill(self, ref: str, signal: str = "KILL") -> None:
        self._note("kill", self._find(ref).name, *(() if signal == "KILL" else (signal,)))
        if signal not in ("KILL", "TERM", "INT", "QUIT"):
            return
        self._change(ref, "die", state=State.EXITED, exit_code=137, finished_at=self.clock())

    def restart(self, ref: str, timeout: float | None = None) -> Container:
        self._note("restart", self._find(ref).name)
        return self._change(ref, "start", state=State.RUNNING, started_at=self.clock())

    def pause(self, ref: str) -> None:
        self._note("pause", self._find(ref).name)
        self._change(ref, "pause", state=State.PAUSED)

    def unpause(self, ref: str) -> None:
        self._note("unpause", self._find(ref).name)
        self._change(ref, "unpause", state=State.RUNNING)

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        container = self._find(ref)
        self._note("remove", container.name, force, *((volumes,) if volumes else ()))
        if container.state.is_alive and not force:
            raise Conflict(f"container “{container.name}” is running", "stop it first, or use --force")
        with self.lock:
            del self._containers[container.id]
        self.emit(Event(self.clock(), "container", "destroy", container.id, container.name))

    def exec(self, ref: str, request: Any) -> FakeSession:
        self._note("exec", self._find(ref).name, request.argv)
        return FakeSession()

    def sessions(self, ref: str) -> list[Any]:
        self._find(ref)
        return []

    def down(
        self,
        name: str,
        volumes: bool = False,
        progress: ProgressSink | None = None,
        path: str = "",
        cancel: threading.Event | None = None,
    ) -> list[Action]:
        self._note("down", name, *((volumes,) if volumes else ()))
        for container in self.containers():
            if container.stack == name:
                self.remove(container.id, force=True)
        return []

    def log_file(self, ref: str) -> str:
        container = self._find(ref)
        path = f"{self.logs_dir}/{container.id[:12]}.jsonl"
        if not os.path.exists(path):
            with open(path, "w") as file:
                for number in range(240):
                    file.write(self.log_line(container.name, number, self.now - 240 + number))
        return path

    def log_line(self, name: str, number: int, at: float, text: str = "") -> str:
        """What the made-up programs print."""
        if not text:
            page = (number * 7919 + len(name) * 613) % 9973
            text = f"INFO  GET https://example.org/page/{page} 200 in {page % 397} ms"
            if (number + len(name)) % 9 == 5:
                text = "WARN  retry 2 of 5: connection reset by peer (example.net)"
            elif number % 13 == 7:
                text = "ERROR MemoryError while decoding body of 214 MB, dropped"
        return json.dumps({"t": at, "s": "stdout", "m": text}, ensure_ascii=False) + "\n"

    def inspect(self, ref: str) -> dict[str, Any]:
        container = self._find(ref)
        return {
            "Id": container.id, "Name": container.name, "Created": container.spec.created,
            "State": {"Status": str(container.state), "Running": container.state.is_alive, "ExitCode": 0},
            "Config": {"Cmd": list(container.spec.argv), "Env": ["PATH=/usr/bin", "HOME=/root"], "Labels": {}},
            "HostConfig": {"Memory": container.spec.request.resources.memory, "Binds": []},
            "NetworkSettings": {"IPAddress": container.spec.address, "Ports": {"80/tcp": None}},
        }  # fmt: skip

    def processes(self, ref: str) -> list[ProcessInfo]:
        container = self._find(ref)
        return [
            ProcessInfo(
                4100 + number, 4100 if number else 1, "root", "S" if number else "R", self.now - 700, 1.5 * number,
                (12 + number) * M, " ".join(container.spec.argv) + f" --worker {number}",
            )
            for number in range(3)
        ]  # fmt: skip

    def changes(self, ref: str) -> list[Change]:
        self._find(ref)
        return [
            Change("/app/cache", "A", 0, "directory"), Change("/app/cache/pages.db", "A", 36 * M),
            Change("/app/main.py", "C", 14 * K), Change("/etc/resolv.conf.bak", "D"),
            Change("/run/fetch.sock", "A", 0, "socket"), Change("/tmp/current", "A", 0, "symlink"),
            Change("/var/log/fetch.log", "C", 2 * M),
        ]  # fmt: skip

    def commit(self, ref: str, request: CommitRequest, progress: ProgressSink | None = None) -> ImageSummary:
        container = self._find(ref)
        self._note("commit", container.name, request)
        if progress is not None:
            progress(Progress(container.name, "packing", 10 * M, 38 * M))
            progress(Progress(container.name, "packed", 38 * M, 38 * M, True))
        names = (request.name if ":" in request.name else f"{request.name}:latest",) if request.name else ()
        image = ImageSummary(
            f"sha256:{digest(request.name)}", names, self.clock(), 250 * M, 7, f"sha256:{digest('x')}"
        )
        with self.lock:
            self._images.insert(0, image)
        self.emit(Event(self.clock(), "image", "commit", image.id, request.name))
        return image

    def all_stats(self) -> dict[str, Stats]:
        at = self.clock()
        return {one.id: self.stats_at(one.id, at) for one in self.containers() if one.state.is_alive}

    def images(self) -> list[ImageSummary]:
        with self.lock:
            users: dict[str, list[str]] = {}
            for container in self._containers.values():
                users.setdefault(container.spec.image_id, []).append(container.id)
            return [replace(image, used_by=tuple(users.get(image.id, ()))) for image in self._images]

    def layers(self, image: str) -> list[LayerInfo]:
        wanted = LAYERS if image == f"sha256:{digest('crawler:4')}" else LAYERS[:3]
        numbers = itertools.count(1)
        return [
            LayerInfo(
                digest(by), digest(by + "b"), digest(by + "c"), size, size // 3, by, self.now - 5000, empty=not size,
                number=next(numbers) if size else 0, files=size >> 14,
            )
            for by, size in wanted
        ]  # fmt: skip

    def inspect_image(self, image: str) -> dict[str, Any]:
        return {"Id": image, "RepoTags": ["made:up"], "Config": {"Cmd": ["sh"]}, "Size": 5}

    def remove_image(self, image: str, force: bool = False) -> list[str]:
        self._note("remove_image", image)
        with self.lock:
            for at, one in enumerate(self._images):
                if image in (one.id, one.id.removeprefix("sha256:")) or one.names == (image,):
                    del self._images[at]
                    break
                if image in one.names:
                    self._images[at] = replace(one, names=tuple(name for name in one.names if name != image))
        self.emit(Event(self.clock(), "image", "delete", image))
        return []

    def tag(self, image: str, name: str) -> None:
        self._note("tag", image, name)
        with self.lock:
            for at, one in enumerate(self._images):
                names = {*one.names} - {name} | ({name} if one.id == image else set())
                self._images[at] = replace(one, names=tuple(sorted(names)))

    def pull(
        self,
        name: str,
        platform: str = "",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pulled:
        self._note("pull", name, platform)
        self._steps(progress, cancel, "0123456789ab", "downloading", 40 * M)
        image = ImageSummary(f"sha256:{digest(name)}", (name,), self.clock(), 40 * M, 2, f"sha256:{digest('p')}")
        with self.lock:
            self._images.insert(0, image)
        return Pulled(image, f"docker.io/library/{name}", image.digest, True)

    def push(
        self,
        name: str,
        compression: str = "gzip",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pushed:
        self._note("push", name, compression)
        self._steps(progress, cancel, "0123456789ab", "pushing", 40 * M)
        return Pushed(name, f"sha256:{digest(name)}", 1234)

    def registry_tags(self, name: str) -> list[str]:
        self._note("registry_tags", name)
        return ["15", "16", "17-rc", "\x1b[2Jevil"]

    def login(self, server: str, username: str = "", password: str = "") -> str:
        self._note("login", server, username, password)
        return "~/.docker/config.json"

    def logout(self, server: str) -> bool:
        self._note("logout", server)
        return server != "nowhere"

    def save(self, images: Sequence[str], path: str, progress: ProgressSink | None = None, format: Any = "") -> None:
        self._note("save", tuple(images), path, format)
        self._steps(progress, None, "save", "blob", 60 * M)

    def load(self, path: str, progress: ProgressSink | None = None) -> list[ImageSummary]:
        self._note("load", path)
        self._steps(progress, None, path, "loading", 60 * M)
        return [ImageSummary(f"sha256:{digest(path)}", ("loaded:1",), self.clock(), 60 * M, 2, "sha256:0")]

    def import_image(
        self, path: str, name: str, changes: Sequence[str] = (), message: str = "", progress: Any = None
    ) -> ImageSummary:
        self._note("import", path, name, tuple(changes), message)
        image = ImageSummary(f"sha256:{digest(name)}", (name,), self.clock(), 60 * M, 1, "sha256:0")
        with self.lock:
            self._images.insert(0, image)
        return image

    def export(self, ref: str, path: str, progress: ProgressSink | None = None) -> None:
        self._note("export", self._find(ref).name, path)

    def copy_in(
        self,
        ref: str,
        source: str,
        destination: str,
        follow: bool = False,
        owners: bool = False,
        progress: Any = None,
    ) -> None:
        self._note("copy_in", self._find(ref).name, source, destination, follow)

    def copy_out(
        self,
        ref: str,
        source: str,
        destination: str,
        follow: bool = False,
        owners: bool = False,
        progress: Any = None,
    ) -> None:
        self._note("copy_out", self._find(ref).name, source, destination, follow)

    def rename(self, ref: str, name: str) -> None:
        found = self._find(ref)
        self._note("rename", found.name, name)
        self._containers[found.id] = replace(found, spec=replace(found.spec, name=name))

    def attach(self, ref: str) -> FakeSession:
        self._note("attach", self._find(ref).name)
        return FakeSession()

    def _steps(
        self, progress: ProgressSink | None, cancel: threading.Event | None, subject: str, text: str, total: int
    ) -> None:
        """Progress a quarter at a time; ``hold`` keeps it at the half until it is set."""
        for quarter in range(5):
            if cancel is not None and cancel.is_set():
                raise Cancelled(f"{text} {subject} was cancelled")
            if progress is not None:
                progress(Progress(subject, text, total * quarter // 4, total, quarter == 4))
            if quarter == 2:
                while not self.hold.wait(0.01) and not (cancel is not None and cancel.is_set()):
                    if cancel is None and progress is not None:
                        progress(Progress(subject, text, total * quarter // 4, total))

    def removal(self, containers: Sequence[str] = (), images: Sequence[str] = ()) -> Removal:
        self.threads.add(threading.current_thread().name)
        found = [self._find(ref) for ref in containers]
        usages = tuple(
            ContainerUsage(one.id, one.name, one.spec.image, "", 0.0, one.state.is_alive, 1, 38 * M, 2 * M)
            for one in found
        )
        volumes = (
            (RemovedVolume("shop_data", 120 * M, False, ()), RemovedVolume("f" * 64, 7 * M, True, ()))
            if any(one.name == "shop-db-1" for one in found)
            else ()
        )
        gone = tuple(
            ImageUsage(one.id, one.names, one.created, one.size, 117 * M, one.size - 117 * M, one.size, 0, 0)
            for one in self._images
            if one.id in images
        )
        return Removal(usages, volumes, gone, 40 * M * len(found) + sum(max(one.unique, 0) for one in gone))

    def checkpoint(self, ref: str, name: str = "", message: str = "") -> Checkpoint:
        found = self._find(ref)
        self._note("checkpoint", found.name, name, message)
        before = self._points.setdefault(found.id, [])
        current = next((point.name for point in before if point.current), "")
        point = Checkpoint(name or str(len(before) + 1), self.clock(), message, 38 * M, current, True)
        self._points[found.id] = [*(replace(one, current=False) for one in before), point]
        return point

    def checkpoints(self, ref: str) -> list[Checkpoint]:
        found = self._find(ref)
        if "checkpoints" in self.fail:
            raise self.fail["checkpoints"]
        return list(self._points.get(found.id, ()))

    def since(self, ref: str, checkpoint: str) -> Since:
        self._find(ref)
        return Since(3, 2, 1, 41 * M, ("/app/cache/pages.db", "/app/main.py", "/etc/resolv.conf.bak"))

    def restore(self, ref: str, checkpoint: str, timeout: float | None = None) -> Restored:
        found = self._find(ref)
        self._note("restore", found.name, checkpoint)
        self._points[found.id] = [replace(one, current=one.name == checkpoint) for one in self._points[found.id]]
        return Restored(found, found.state.is_alive)

    def branch(self, ref: str, checkpoint: str, name: str = "") -> Container:
        found = self._find(ref)
        self._note("branch", found.name, checkpoint, name)
        self._add("", name or "quick-badger", found.spec.image, 0, 0.0, M, None, 0, 0, 0)
        return self._find(name or "quick-badger")

    def remove_checkpoint(self, ref: str, checkpoint: str) -> None:
        found = self._find(ref)
        self._note("remove_checkpoint", found.name, checkpoint)
        self._points[found.id] = [one for one in self._points[found.id] if one.name != checkpoint]

    def history(self, ref: str) -> History:
        return self.recorded.get(self._find(ref).id, History())

    def why(self, ref: str) -> PostMortem:
        status = self.container(ref).status
        return PostMortem(
            verdict="It ran out of memory: the kernel killed it at its limit of 256 MiB (exit code 137)."
            if status.oom_killed
            else f"Its program ended by itself, with exit code {status.exit_code}.",
            details=("It had run for 600.0 s.", "At most 256 MiB of memory of 256 MiB in its last minutes."),
            status=status,
            limits=(("oom", 1),),
            logs=tuple(LogLine(self.now, "stdout", f"indexed {number}000 pages") for number in range(41, 44)),
            usage=(),
            processes=(PastProcess(4711, 1, 512.3, 240 << 20, "python3 -m index-1"),),
            processes_at=status.finished_at,
            changes=(
                Change("/app/cache/index.bin", "A", 84 << 20, "file"),
                Change("/var/log/index", "C", 12345, "file"),
            ),
            changed=7,
            events=(),
            health=(),
            trace=(),
        )

    def volumes(self) -> list[dict[str, Any]]:
        with self.lock:
            return [
                {"name": name, "mountpoint": f"/var/lib/pyctr-tui/volumes/{name}/_data", "created": self.now - 90000,
                 "size": size, "used_by": users}
                for name, (size, users) in self._volumes.items()
            ]  # fmt: skip

    def create_volume(self, name: str) -> None:
        self._note("create_volume", name)
        if name in self._volumes:
            raise Conflict(f"there is a volume {name} already", "`pyctr-tui volume ls` lists them")
        self._volumes[name] = (0, [])

    def remove_volume(self, name: str) -> None:
        self._note("remove_volume", name)
        del self._volumes[name]

    def networks(self) -> list[NetworkUse]:
        with self.lock:
            members = tuple(
                Member(one.id, one.name, f"10.88.0.{at + 2}", (one.name, one.service), one.ports, one.state.is_alive)
                for at, one in enumerate(self._containers.values())
            )
        return [
            NetworkUse(Network("bridge", "pyctr0", "10.88.0.0/16", "10.88.0.1"), members[:-1]),
            NetworkUse(Network("host", "", "", ""), (replace(members[-1], address=""),)),
        ]

    def stacks(self) -> list[StackSummary]:
        return [StackSummary(name, f"/srv/{name}/compose.yaml", 1, 2) for name in ("crawler", "shop")]

    def load_stack(self, path: str, name: str = "") -> Stack:
        if "wrong" in path:
            raise InvalidStack(f"{path}:3:5: there is no attribute imge", "did you mean image?")
        return Stack(name or "shop", path, (), warnings=(f"{path}:5:1: TAG is not set",) if "shop" in path else ())

    def plan(self, stack: Stack) -> list[Action]:
        if stack.name == "crawler":
            return [Action("keep", "crawler-fetch-1", "fetch", "as the file says")]
        return [
            Action("keep", "shop-db-1", "db", "as the file says"),
            Action("recreate", "shop-web-1", "web", "image changed: nginx:1.27 to nginx:1.28"),
            Action("create", "shop-cache-1", "cache", "not there yet"),
        ]

    def up(
        self,
        stack: Stack,
        progress: ProgressSink | None = None,
        pull: str = "",
        cancel: threading.Event | None = None,
    ) -> list[Action]:
        self._note("up", stack.name)
        return self.plan(stack)

    def pull_stack(
        self, stack: Stack, progress: ProgressSink | None = None, cancel: threading.Event | None = None
    ) -> None:
        self._note("pull_stack", stack.name)

    def start_trace(self, ref: str) -> tuple[tuple[str, float, float], ...]:
        container = self._find(ref)
        if not container.status.started_at:
            return ()
        late = int(container.id[:2], 16) / 200
        return (
            ("read the request", 0.0, 0.4), ("cgroups and limits", 0.4, 1.1),
            ("clone into namespaces", 1.1, 2.3 + late),
            ("id maps", 2.3 + late, 2.5 + late), ("layers, idmapped", 2.5 + late, 4.4 + late),
            ("veth pair", 3.0 + late, 4.1 + late), ("root file system", 4.4 + late, 5.2 + late),
            ("seccomp and capabilities", 5.2 + late, 5.5 + late), ("exec", 5.5 + late, 5.9 + late),
        )  # fmt: skip

    def doctor(self) -> list[Finding]:
        return [
            Finding("ok", "kernel", "6.1.0-18-amd64"), Finding("ok", "cgroups", "v2, under systemd, delegated"),
            Finding("warn", "swap accounting", "memory.swap.max is not there", "swap can't be limited: boot with "
                    "`swapaccount=1`"),
            Finding("fail", "nftables", "nft is not installed", "no ports are published: as root, "
                    "`apt-get install nftables`"),
        ]  # fmt: skip

    def check(self) -> list[Finding]:
        broken = [] if any(call[0] == "repair" for call in self.calls) else [
            Finding("fail", "layer 3f2a", "a file differs from its blob", "mend it: it is unpacked again"),
        ]  # fmt: skip
        return [Finding("ok", "blobs", "38 have their digests"), *broken]

    def repair(self) -> list[Repair]:
        self._note("repair")
        return [Repair("layer 3f2a", "unpacked again")]

    def disk_usage(self) -> DiskUsage:
        images = tuple(
            ImageUsage(one.id, one.names, one.created, one.size, one.size // 3, one.size - one.size // 3, one.size,
                       one.size // 3, len(self._users(one.id)))
            for one in self._images
        )  # fmt: skip
        return DiskUsage(
            totals=(
                Usage("Images", 8, 6, 1939 * M, 341 * M), Usage("Layers", 21, 17, 1500 * M, 300 * M),
                Usage("Blobs", 34, 30, 439 * M, 41 * M), Usage("Containers", 11, 9, 220 * M, 12 * M),
                Usage("Logs", 11, 9, 31 * M, 2 * M), Usage("Local Volumes", 3, 2, 3 * G, 96 * M),
            ),
            images=images,
            layers=(),
            containers=tuple(
                ContainerUsage(
                    one.id, one.name, one.spec.image, "", one.spec.created, one.state.is_alive, 0, 20 * M, 3 * M
                )
                for one in self._containers.values()
            ),
            volumes=(
                VolumeUsage("shop_data", 2900 * M, ("shop-db-1",)), VolumeUsage(digest("v")[:40], 96 * M, ()),
            ),
            unreferenced=7 * M,
        )  # fmt: skip

    def _users(self, image: str) -> list[str]:
        return [one.name for one in self._containers.values() if one.spec.image_id == image]

    def prune(
        self,
        request: PruneRequest,
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pruned:
        if not request.dry_run:
            self._note("prune", request)
            self._steps(progress, cancel, "prune", "removing images", 0)
        stopped = [one.id for one in self._containers.values() if not one.state.is_alive]
        containers = tuple(stopped) if request.containers else ()
        images = ("untagged: app:dev", "deleted: sha256:77aa") if request.all_images else ()
        volumes = (digest("v")[:40],) if request.volumes else ()
        freed = 12 * M * len(containers) + 341 * M * bool(images) + 96 * M * bool(volumes) + 7 * M * request.images
        return Pruned(containers, images, volumes, blobs=("sha256:1",) if request.images else (), reclaimed=freed)

    def events(self, since: float | None = None, follow: bool = True, until: float | None = None) -> Iterator[Event]:
        listener: queue.Queue[Event] = queue.Queue()
        self._listeners.append(listener)
        for event in self._past:
            if since is None or event.time > since - 8000:
                yield event
        while follow:
            yield listener.get()

    def host(self) -> HostInfo:
        return HostInfo("web01", "root", "v2")

    def host_stats(self) -> HostStats:
        self._host_calls += 1
        total = self._host_calls * 8_000_000
        return HostStats(
            self.clock(),
            8,
            int(total * 0.34),
            total,
            int(2.1 * G),
            24 * G,
            Pressure(0.3),
            Pressure(0.0),
            Pressure(0.0),
            self._host_calls * 200_000,
            self._host_calls * 1_300_000,
            self._host_calls * 4_400_000,
            self._host_calls * 60_000,
            412,
        )


_PASTS: dict[tuple[str, int], tuple[Any, Stats]] = {}


def prefill(store: Any, engine: FakeEngine, seconds: int = 900) -> None:
    """Give the interface a past, as if it had been open for a while (made up once, then copied)."""
    from copy import deepcopy

    from pyctr_tui.samples import Ring, reading, sample

    now = int(engine.clock())
    for container in engine.containers():
        if not container.state.is_alive:
            continue
        if (container.id, now) not in _PASTS:
            ring = Ring()
            before: Stats | None = None
            for second in range(now - seconds, now):
                stats = engine.stats_at(container.id, float(second))
                ring.append(second, reading(sample(before, stats)))
                before = stats
            assert before is not None
            _PASTS[container.id, now] = (ring, before)
        ring, last = _PASTS[container.id, now]
        copied = Ring()
        copied.start, copied.values = ring.start, deepcopy(ring.values)
        store.rings[container.id] = copied
        engine._counters[container.id] = last
    for second in range(now - 60, now):
        store.host_ring.append(second, {"cpu": 34 + 12 * math.sin(second / 7)})


def writer(engine: FakeEngine, names: Sequence[str], rate: float, stop: threading.Event) -> None:
    """Print lines into the logs of containers at ``rate`` lines a second each, until told to stop."""
    number = 0
    while not stop.wait(min(1 / rate, 0.05)):
        batch = max(1, int(rate * 0.05))
        for name in names:
            with open(engine.log_file(name), "a") as file:
                for _ in range(batch):
                    file.write(engine.log_line(name, number, time.time()))
                    number += 1
