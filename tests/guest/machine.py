"""A virtual machine, and what it is asked to do.

Software emulation everywhere: about 15 times slower than the host, and the same wherever it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.guest.boot import initramfs
from tests.guest.image import PYTHON, REPOSITORY, Image, image

SOURCES = "/opt/pyctr"
_SHARED = ("engine", "tui", "tests", "stacks", "pyproject.toml")
_BOOT_SECONDS = 300
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": f"{SOURCES}:{SOURCES}/engine:{SOURCES}/tui:/opt/site",
    "LANG": "C.UTF-8",
    "CI": "1",
    "PYCTR_TEST_BASE": "/opt/guest/base.tar",
}


@dataclass(frozen=True)
class Ran:
    """How a program in the guest ended, and what it wrote to either stream."""

    code: int
    out: str


class Machine:
    """One guest, from power-on to power-off.

    Args:
        layout: ``v2``, ``hybrid`` or ``v1``: how control groups are mounted.
        systemd: Whether systemd is its init; otherwise a script mounts what is needed.
    """

    def __init__(self, layout: str = "v2", systemd: bool = True) -> None:
        self.layout = layout
        self.systemd = systemd
        self._rest = b""
        self._directory = tempfile.mkdtemp(prefix="pyctr-guest-")
        self._console = open(f"{self._directory}/console", "w+b")  # noqa: SIM115
        try:
            self._qemu = self._start(image())
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        try:
            self._channel, _ = self._listener.accept()
            self.boot_id = self._ready()
        except BaseException:
            self.close()
            raise
        shutil.rmtree(self._directory)  # all is open by now: should we be killed, nothing is left

    def run(
        self,
        *argv: str,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        seconds: float = 300,
        check: bool = True,
    ) -> Ran:
        """Run a program to its end; with ``check``, one that fails is an AssertionError with what it wrote."""
        lines: list[str] = []
        stream = self.stream(argv, user, env, seconds)
        while True:
            try:
                lines.append(next(stream))
            except StopIteration as end:
                ran = Ran(end.value, "".join(lines))
                break
        assert not check or ran.code == 0, f"{' '.join(argv)} ended with {ran.code}:\n{ran.out}"
        return ran

    def stream(
        self, argv: Sequence[str], user: str = "root", env: Mapping[str, str] | None = None, seconds: float = 300
    ) -> Iterator[str]:
        """The lines that a program writes; the iterator's value is its exit code. TimeoutError after ``seconds``."""
        deadline = time.monotonic() + seconds
        self._send(run=list(argv), user=user, env={**_ENVIRONMENT, **(env or {})}, cwd=SOURCES)
        while True:
            message = self._receive(deadline)
            if "exit" in message:
                return int(message["exit"])
            if "out" in message:
                yield message["out"]

    def write(self, path: str, text: str) -> None:
        """Write a file in the guest."""
        self._send(write=path, text=text)
        assert self._receive(time.monotonic() + 60) == {"exit": 0}

    def reboot(self) -> None:
        """Reboot as an administrator does, and wait until the guest is there again."""
        self._send(run=["systemctl", "reboot"], user="root", env=_ENVIRONMENT, cwd="/")
        before = self.boot_id
        self.boot_id = self._ready()
        assert self.boot_id != before

    def close(self) -> None:
        """Power off: nothing of it is kept."""
        with contextlib.suppress(AttributeError, OSError):
            self._channel.close()
            self._console.close()
        self._listener.close()
        self._qemu.kill()
        self._qemu.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def console(self) -> str:
        """The last of what the guest wrote to its console."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            return os.pread(self._console.fileno(), 1 << 20, 0).decode(errors="replace")[-4000:]
        return ""

    def _start(self, files: Image) -> subprocess.Popen[bytes]:
        pack_sources(f"{self._directory}/sources")
        Path(f"{self._directory}/initramfs").write_bytes(initramfs(files.first))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._directory}/channel")
        self._listener.listen(1)
        self._listener.settimeout(30)
        qemu = "qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -no-user-config"
        # It ends with us, however we end.
        command = ["setpriv", "--pdeathsig", "KILL", *qemu.split(), "-display", "none"]
        command += ["-serial", f"file:{self._directory}/console", "-kernel", str(files.kernel)]
        command += ["-initrd", f"{self._directory}/initramfs", "-append", self._command_line()]
        command += ["-drive", f"file={files.disk},format=raw,if=virtio,snapshot=on,cache=unsafe"]
        command += ["-drive", f"file={self._directory}/sources,format=raw,if=virtio,readonly=on"]
        command += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,id=agent,path={self._directory}/channel"]
        command += ["-device", "virtserialport,chardev=agent,name=agent"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": self._directory})

    def _command_line(self) -> str:
        words = ["console=ttyS0", "rw", "quiet", "panic=-1", "psi=1", "swapaccount=1", f"guest.cgroups={self.layout}"]
        if not self.systemd:
            words.append("guest.init=/opt/guest/plain")
        elif self.layout != "v2":
            words.append("systemd.unified_cgroup_hierarchy=0")
            words.append(f"systemd.legacy_systemd_cgroup_controller={'yes' if self.layout == 'v1' else 'no'}")
        return " ".join(words)

    def _ready(self) -> str:
        deadline = time.monotonic() + _BOOT_SECONDS
        while True:
            message = self._receive(deadline)
            if "ready" in message:
                return str(message["ready"])

    def _send(self, **message: Any) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._rest:
            self._channel.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                piece = self._channel.recv(65536)
            except TimeoutError:
                raise TimeoutError(f"the guest did not answer in time; its console:\n{self.console}") from None
            if not piece:
                raise RuntimeError(f"the guest has ended; its console:\n{self.console}")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def pack_sources(path: str) -> None:
    """The sources as they are now, compiled, as a tar: the guest's second disk."""
    with tempfile.TemporaryDirectory(prefix="pyctr-guest-") as stage:
        for name in _SHARED:
            source = REPOSITORY / name
            if source.is_dir():
                unneeded = shutil.ignore_patterns("__pycache__", "*.svg")
                shutil.copytree(source, f"{stage}/{name}", ignore=unneeded)
            else:
                shutil.copy2(source, f"{stage}/{name}")
        if f"{sys.version_info[0]}.{sys.version_info[1]}" == PYTHON:  # else the guest does it, slowly
            compiling = [sys.executable, "-m", "compileall", "-q", "-s", stage, "-p", SOURCES, stage]
            subprocess.run(compiling, check=True, stdout=subprocess.DEVNULL)
        owner = ["--owner=0", "--group=0", "--mode=u+rwX,go+rX,go-w"]
        subprocess.run(["tar", "-cf", path, "--blocking-factor=128", *owner, "-C", stage, "."], check=True)
