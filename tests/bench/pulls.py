"""``python -m tests.bench.pulls``: a Debian image in and out, side by side with what else is installed.

A registry on loopback, fresh stores, one image per round: each has a layer of its own (a small gzip member before a
common big one), so nobody finds anything there. What removes comes last, which slows ext4 down for whoever is next:
then ``load`` brings back what ``save`` wrote. Peers: docker (its daemon is started for this), podman, skopeo with
umoci.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pyctr_engine.cgroups.layout import detect
from tests.bench.__main__ import machine
from tests.bench.figures import Figure, ratio, table
from tests.engine.images.tars import entry, tar
from tests.engine.registry.memory import memory_peak
from tests.engine.registry.publisher import Publisher, config_of, manifest_of
from tests.engine.registry.servers import docker_registry

CACHE = Path(__file__).parents[2] / ".cache"
TARGET = 1 / 3
"""Of the faster of docker and podman."""

Peer = Callable[[str, int, str], list[list[str]]]
"""Commands of a round: one of `FIRST` or `LAST`, the round, the image. None for what a peer can't do."""

FIRST, LAST = ("pull", "push", "save", "import"), ("rmi", "load")
"""``rmi`` removes the image with the name that ``push`` gave it, and the one of ``import``."""


def minbase() -> Path:
    """A real Debian root file system, 180 MB, made once."""
    CACHE.mkdir(exist_ok=True)
    kept = CACHE / "minbase-bookworm.tar"
    if not kept.exists():
        part = kept.with_suffix(".part")
        command = ["mmdebstrap", "--format=tar", "--variant=minbase", "--include=perl,ca-certificates", "bookworm"]
        subprocess.run([*command, str(part)], check=True, capture_output=True)
        part.rename(kept)
    return kept


def publish(address: str, rounds: int) -> int:
    """An image for each round, ``debian:0`` …; the bytes of a layer's blob."""
    plain = minbase().read_bytes()
    big = subprocess.run(["gzip", "-6n"], input=plain, stdout=subprocess.PIPE, check=True).stdout
    publisher = Publisher(address, "debian")
    for number in range(rounds):
        first = tar(entry(f"round-{number}", data=str(number).encode()))[:1024]  # without the end mark
        blob = publisher.blob(gzip.compress(first, mtime=0) + big)
        config = config_of([])
        document = json.loads(config)
        document["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(first + plain).hexdigest()}"]
        config = publisher.blob(json.dumps(document).encode())
        publisher.manifest(str(number), manifest_of(config, [blob], "docker"))
    return len(blob)


class Peers:
    """Everybody's commands, each with directories of its own below ``base``."""

    def __init__(self, base: str, target: str) -> None:
        self._base = base
        self._target = target
        self.plain = str(minbase())
        self.all: dict[str, Peer] = {"pyctr-tui": self._ours}
        if shutil.which("podman"):
            self.all["podman"] = self._podman
        if shutil.which("skopeo") and shutil.which("umoci"):
            self.all["skopeo+umoci"] = self._skopeo

    def _ours(self, what: str, number: int, image: str) -> list[list[str]]:
        program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")
        call = [program, "--state-dir", f"{self._base}/ours{number}", "--run-dir", f"{self._base}/ours-run"]
        return self._commands(call, "ours", what, number, image)

    def _podman(self, what: str, number: int, image: str) -> list[list[str]]:
        call = ["podman", "--root", f"{self._base}/podman{number}", "--runroot", f"{self._base}/podman-run"]
        return self._commands([*call, "--storage-driver", "overlay"], "podman", what, number, image)

    def docker(self, what: str, number: int, image: str) -> list[list[str]]:
        """By its own daemon."""
        call = ["docker", "-H", f"unix://{self._base}/docker.sock"]
        return self._commands(call, "docker", what, number, image)

    def _commands(self, call: list[str], who: str, what: str, number: int, image: str) -> list[list[str]]:
        """What all three take, in docker's words."""
        plain = ["--tls-verify=false"] if who == "podman" else []
        archive, there = f"{self._base}/{who}{number}.tar", f"{self._target}/{who}/debian:{number}"
        imported = f"localhost/imported:{number}"
        return {
            "pull": [[*call, "pull", "-q", *plain, image]],
            "push": [[*call, "tag", image, there], [*call, "push", "-q", *plain, there]],
            "save": [[*call, "save", "-o", archive, image]],
            "import": [[*call, "import", self.plain, imported]],
            "rmi": [[*call, "rmi", image, there, imported]],
            "load": [[*call, "load", "-q", "-i", archive]],
        }[what]

    def _skopeo(self, what: str, number: int, image: str) -> list[list[str]]:
        layout = f"{self._base}/skopeo{number}"
        if what == "pull":
            copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:x"]
            return [copy, ["umoci", "unpack", "--image", f"{layout}:x", f"{layout}-bundle"]]
        if what != "push":
            return []
        there = f"docker://{self._target}/skopeo/debian:{number}"
        return [["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:x", there]]


@contextlib.contextmanager
def daemon(base: str) -> Iterator[bool]:
    """docker's, if it is installed and starts."""
    if not shutil.which("dockerd"):
        yield False
        return
    command = ["dockerd", "--data-root", f"{base}/docker", "--exec-root", f"{base}/docker-exec"]
    command += ["-H", f"unix://{base}/docker.sock", "--pidfile", f"{base}/docker.pid"]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    with open(f"{base}/docker.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            asked = ["docker", "-H", f"unix://{base}/docker.sock", "version"]
            if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield process.poll() is None
    finally:
        process.terminate()
        process.wait()


def timed(commands: list[list[str]]) -> tuple[float, float]:
    """Seconds that the commands take together, and of processors."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def measure(
    what: str, name: str, commands: list[list[str]], samples: dict[str, dict[str, list[float]]], counts: bool
) -> None:
    """Run the commands and add to ``samples``, unless the round is one that warms up."""
    if not commands:
        return
    os.sync()
    seconds, used = timed(commands)
    print(f"  {what} {name} {seconds:.2f} s, CPU {used:.2f} s", file=sys.stderr, flush=True)
    if counts:
        samples.setdefault(what, {}).setdefault(name, []).append(seconds)
        if name != "docker":  # what its daemon uses is not its caller's
            samples.setdefault(f"{what}, CPU", {}).setdefault(name, []).append(used)


def compared(what: str, samples: dict[str, list[float]], target: float) -> list[Figure]:
    """A figure for each, and how ours compares with the faster of docker and podman."""
    figures = [Figure(f"{what}, {name}", tuple(taken), "s") for name, taken in samples.items()]
    rivals = [figure for figure in figures if figure.name.endswith((" docker", " podman"))]
    if rivals:
        best = min(rivals, key=lambda figure: figure.median)
        ours = next(figure for figure in figures if figure.name.endswith(" pyctr-tui"))
        figures.append(ratio(f"{what}: ours to {best.name.rpartition(' ')[2]}", ours, best, target))
    return figures


def parts(address: str, rounds: int) -> list[Figure]:
    """Each part of a pull alone, in this process; a pull does them side by side."""
    from pyctr_engine.images.layout import Layout
    from pyctr_engine.images.platform import Platform
    from pyctr_engine.images.registry.client import Registry, Repository
    from pyctr_engine.images.registry.download import Download
    from pyctr_engine.images.registry.manifests import choose
    from pyctr_engine.images.registry.settings import Settings
    from pyctr_engine.images.registry.transport import Transport
    from pyctr_engine.images.streams import CHUNK, decompress, read_file
    from pyctr_engine.images.unpack import Unpacker

    taken: dict[str, list[float]] = {}

    def part(name: str, do: Callable[[], object]) -> None:
        began = time.perf_counter()
        do()
        taken.setdefault(name, []).append(time.perf_counter() - began)

    plain = minbase().read_bytes()
    pieces = [plain[at : at + CHUNK] for at in range(0, len(plain), CHUNK)]
    with tempfile.TemporaryDirectory(prefix="pyctr-parts-") as base:
        for number in range(rounds):
            layout = Layout(f"{base}/oci{number}")
            layout.ensure()
            transport = Transport(Settings())
            repository = Repository(Registry(transport, address), "debian")

            def get(reference: str, repository: Repository = repository) -> tuple[bytes, str, str]:
                found = repository.manifest(reference)
                return found.data, found.media_type, found.digest

            layer = choose("debian", get, str(number), Platform.host()).manifest.layers[0]
            download = Download(layout, [repository], layer)
            part(
                "network, with its hash and the blob's file",
                lambda download=download: (download.run(), download.wait()),
            )
            download.close()
            blob = Path(layout.path(layer.digest)).read_bytes()

            def inflate(path: str = layout.path(layer.digest)) -> None:
                with open(path, "rb") as file:
                    for _ in decompress(read_file(file.fileno()), "gzip"):
                        pass

            part("inflate", inflate)
            part("hash of the blob", lambda blob=blob: hashlib.sha256(blob))
            part("hash of the tar", lambda: hashlib.sha256(plain))

            def unpack(directory: str = f"{base}/fs{number}") -> None:
                os.mkdir(directory)
                with Unpacker(directory, True) as unpacker:
                    for piece in pieces:
                        unpacker.write(piece)
                    unpacker.finish()

            part("files: child, tar, creation, syncfs", unpack)
    return [Figure(f"  alone: {name}", tuple(values), "s") for name, values in taken.items()]


def memory(base: str, image: str) -> Figure:
    """The most that a pull's processes have of memory: the peaks of all added up, as if they were at once."""
    peak = memory_peak(f"{base}/memory", f"{base}/memory-run", image)
    return Figure("peak memory of a pull", (peak / (1 << 20),), "MiB", 150e6 / (1 << 20))


def main() -> None:
    """Measure and print; ends with 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pulls", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if os.geteuid() != 0:
        print("The bench unpacks images and needs root: sudo make bench")
        return
    print(machine(detect().mode), flush=True)
    with contextlib.ExitStack() as after:
        base = after.enter_context(tempfile.TemporaryDirectory(prefix="pyctr-pulls-"))
        after.callback(unmount_below, base)
        for name in ("source", "target"):
            os.mkdir(f"{base}/{name}")
        source = after.enter_context(docker_registry(Path(base, "source")))
        target = after.enter_context(docker_registry(Path(base, "target")))
        size = publish(source, rounds + 2)
        peers = Peers(base, target)
        if after.enter_context(daemon(base)):
            peers.all["docker"] = peers.docker
        samples: dict[str, dict[str, list[float]]] = {}
        for kinds in (FIRST, LAST):
            for number in range(rounds + 1):
                turn = number % len(peers.all)  # what one leaves to be written or freed is the next one's trouble
                order = [*peers.all.items()][turn:] + [*peers.all.items()][:turn]
                for what, (name, commands) in itertools.product(kinds, order):
                    measure(what, name, commands(what, number, f"{source}/debian:{number}"), samples, bool(number))
        figures = compared("pull", samples["pull"], TARGET)
        for what in (*FIRST[1:], *LAST):
            figures += compared(what, samples[what], 1.0)
        for what in (*FIRST, *LAST):
            figures += [
                Figure(f"{what}, CPU, {name}", tuple(taken), "s") for name, taken in samples[f"{what}, CPU"].items()
            ]
        figures += parts(source, min(rounds, 3))
        figures.append(memory(base, f"{source}/debian:{rounds + 1}"))
        print(f"A layer of {size >> 20} MiB, {minbase().stat().st_size >> 20} MiB unpacked.\n\n{table(figures)}")


def unmount_below(base: str) -> None:
    """What podman and docker leave mounted."""
    with open("/proc/self/mountinfo") as file:
        found = [line.split()[4] for line in file if f" {base}/" in line]
    for place in reversed(found):
        subprocess.run(["umount", "-l", place], check=False)


if __name__ == "__main__":
    main()
