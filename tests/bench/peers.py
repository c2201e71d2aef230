"""Docker and podman from Debian's packages, in directories of their own, to be measured side by side with us."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

_CONTAINERS_CONF = '[containers]\ndefault_ulimits=["nofile=1024:4096","nproc=4096:4096"]\n'


class Peer:
    """One of them; ``command`` is how it is called."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = environment

    def call(self, *words: str) -> str:
        """Its standard output. Raises RuntimeError with what it complained about."""
        done = subprocess.run(
            [*self._command, *words], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name} {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def time(self, *words: str) -> float:
        """Milliseconds that a call takes."""
        began = time.perf_counter()
        self.call(*words)
        return (time.perf_counter() - began) * 1000


@contextlib.contextmanager
def peers(directory: str) -> Iterator[list[Peer]]:
    """Those that are installed, each with an image ``bb`` of busybox; afterwards nothing is left of them."""
    with contextlib.ExitStack() as after:
        found = []
        rootfs = _busybox(directory)
        if shutil.which("dockerd") and shutil.which("docker"):
            found.append(after.enter_context(_docker(f"{directory}/docker")))
        if shutil.which("podman") and shutil.which("runc"):
            found.append(after.enter_context(_podman(f"{directory}/podman")))
        for peer in found:
            peer.call("import", rootfs, "bb")
        yield found


def _busybox(directory: str) -> str:
    """A root file system's tar with busybox as everything."""
    os.makedirs(f"{directory}/rootfs/bin")
    shutil.copy(shutil.which("busybox") or "/bin/busybox", f"{directory}/rootfs/bin/busybox")
    for applet in ("sh", "sleep", "dd", "mkdir", "seq", "head", "rm"):
        os.symlink("busybox", f"{directory}/rootfs/bin/{applet}")
    subprocess.run(["tar", "-C", f"{directory}/rootfs", "-cf", f"{directory}/rootfs.tar", "."], check=True)
    return f"{directory}/rootfs.tar"


@contextlib.contextmanager
def _docker(directory: str) -> Iterator[Peer]:
    """A daemon of our own, ended by its process."""
    os.makedirs(directory)
    run = tempfile.mkdtemp(prefix="pb-", dir="/run")
    host = f"unix://{run}/docker.sock"
    with open(f"{directory}/log", "w") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{run}/exec", "-H", host,
             "-p", f"{run}/pid", "--iptables=false", "--ip6tables=false", "--bridge=none"],
            stdout=log, stderr=log,
        )  # fmt: skip
    peer = Peer("docker", ["docker", "-H", host], dict(os.environ))
    try:
        for _ in range(200):
            with contextlib.suppress(RuntimeError):
                peer.call("version")
                break
            time.sleep(0.1)
        yield peer
        ids = peer.call("ps", "-aq").split()
        if ids:
            peer.call("rm", "-f", *ids)
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(run, ignore_errors=True)


@contextlib.contextmanager
def _podman(directory: str) -> Iterator[Peer]:
    os.makedirs(directory)
    conf = f"{directory}/containers.conf"
    with open(conf, "w") as file:
        file.write(_CONTAINERS_CONF)
    run = tempfile.mkdtemp(prefix="pb-", dir="/run")
    command = ["podman", "--root", f"{directory}/root", "--runroot", run, "--runtime", "runc"]
    command += ["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--tmpdir", f"{run}/tmp"]
    peer = Peer("podman", command, {**os.environ, "CONTAINERS_CONF": conf})
    try:
        yield peer
        peer.call("rm", "-af", "-t", "0")
    finally:
        for path in (f"{directory}/root/overlay", directory):
            subprocess.run(["umount", path], capture_output=True, check=False)  # it binds its store onto itself
        shutil.rmtree(run, ignore_errors=True)
