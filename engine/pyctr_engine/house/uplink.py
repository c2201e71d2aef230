"""What leads out of the house's network: pasta, or slirp4netns where there is no pasta.

pasta gives the house the host's own address, and forwards each port that something in the house listens on, which it
looks for once a second: with the caller's address, so that the house's own rules (`pyctr_engine.network.firewall`)
lead it to the container as they do for root. That of 2023 (Debian 12) looks for UDP ports only when it begins, and
keeps them. slirp4netns leads out only.

Neither lets containers reach the host's loopback, but for name servers there: DNS sent to one of `RESOLVERS` goes
to the host's. Sources: passt(1), slirp4netns(1).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
import time
from typing import NamedTuple

from pyctr_engine.house import ids
from pyctr_engine.linux import namespaces
from pyctr_engine.paths import House

RESOLVERS = {"pasta": "169.254.1.53", "slirp4netns": "10.0.2.3"}
"""The name server that stands for the host's, as containers see it. pasta takes any; slirp4netns has its own."""
INTERFACE = "uplink"
INSTALL = "as root: `apt-get install passt` (or slirp4netns, which publishes no ports)"

_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_READY_SECONDS = 10.0


class State(NamedTuple):
    """What `House.uplink` tells, as the keeper last wrote it.

    Attributes:
        kind: pasta, slirp4netns, or empty: there is none.
        pid, started: The process.
        problem: Why there is none; empty when none of them is installed.
        resolver: The name server that stands for those of the host's.
    """

    kind: str = ""
    pid: int = 0
    started: int = 0
    problem: str = ""
    resolver: str = ""


def read(house: House) -> State | None:
    """The state; ``None`` while the keeper has not written any."""
    try:
        with open(house.uplink, "rb") as file:
            return State(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def installed() -> str:
    """pasta, slirp4netns, or empty."""
    return next((name for name in ("pasta", "slirp4netns") if ids.program(name)), "")


class Uplink:
    """The keeper's: starts it, and again when it ends."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pause = _PAUSE
        self._began = 0.0
        self._state: State | None = None
        self.pid = 0
        self.pidfd = -1

    def begin(self) -> None:
        """Adopt one that runs already, of a keeper that was killed; else start one if it is installed."""
        known = read(self._house)
        if known is None or not known.pid or not namespaces.is_running(known.pid, known.started):
            known = _running(self._house)  # the run directory may have been wiped
        if known is not None:
            self._write(known)
            self._watch(known)
            return
        kind = installed()
        self._began = time.monotonic()
        state = State()
        if kind:
            state = self._start(kind)
        self._write(state)
        if state.pid:
            self._watch(state)

    def note_again(self) -> None:
        """Write the state anew: the run directory was wiped."""
        if self._state is not None:
            self._write(self._state)

    def mend(self) -> None:
        """It has ended: start it again, at longer and longer intervals if that is of no use."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self._reap()
        if time.monotonic() - self._began > _LONGEST_PAUSE:
            self._pause = _PAUSE
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self.begin()

    def end(self) -> None:
        """End it: with the house, or to have another (`mend`, `begin`)."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)
            poller = select.poll()
            poller.register(self.pidfd, select.POLLIN)
            if not poller.poll(2000):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                poller.poll(2000)
            os.close(self.pidfd)
        self._reap()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # pasta is no child of ours: it has gone into the background
            os.waitpid(self.pid, os.WNOHANG)
        self.pid, self.pidfd = 0, -1

    def _watch(self, state: State) -> None:
        self.pid = state.pid
        with contextlib.suppress(OSError):
            self.pidfd = os.pidfd_open(state.pid)

    def _write(self, state: State) -> None:
        self._state = state
        with open(f"{self._house.uplink}.new", "w") as file:
            json.dump(state._asdict(), file)
        os.rename(f"{self._house.uplink}.new", self._house.uplink)

    def _start(self, kind: str) -> State:
        """Start it and wait until it is at work."""
        try:
            pid = _pasta(self._house) if kind == "pasta" else _slirp(self._house)
            started = namespaces.start_time(pid)
        except (OSError, ValueError) as error:
            return State(problem=f"{kind} did not start: {error}")
        return State(kind, pid, started, resolver=RESOLVERS[kind])


def _running(house: House) -> State | None:
    """One that leads out of this house already, by its command line."""
    wanted = os.fsencode(house.network)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                program, *words = file.read().split(b"\0")
            kind = os.path.basename(program).decode(errors="replace")
            if kind in RESOLVERS and wanted in words and os.stat(f"/proc/{name}").st_uid == 0:
                return State(kind, int(name), namespaces.start_time(int(name)), resolver=RESOLVERS[kind])
        except OSError:
            continue
    return None


def _pasta(house: House) -> int:
    """pasta goes into the background when it is at work; its pid. Raises OSError."""
    # Of the places to write to, the AppArmor profile that it comes with knows /tmp and the home directory.
    directory = f"/tmp/.pyctr-pasta-{os.urandom(8).hex()}"
    os.mkdir(directory, 0o700)
    try:
        return _pasta_noting(house, f"{directory}/pid")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{directory}/pid")
        os.rmdir(directory)


def _pasta_noting(house: House, note: str) -> int:
    program = ids.program("pasta")
    udp = ["-u", "auto"]
    if _is_old(program):
        bound = _bound_udp(house.network)
        udp = [word for port in bound for word in ("-u", port)] or ["-u", "none"]
    arguments = [
        program,
        *("--quiet", "--config-net", "--ipv4-only", "--ns-ifname", INTERFACE, "--no-map-gw"),
        *("-t", "auto", *udp, "-T", "auto", "-U", "none"),  # -t auto does nothing without -T auto in that of 2023
        *(
            "--dns-forward",
            RESOLVERS["pasta"],
            "--pid",
            note,
            "--no-netns-quit",
            "--netns-only",
            "--netns",
            house.network,
        ),
    ]
    code, said = _run(arguments)
    if code:
        raise OSError(code, said or f"it ended with {code}")
    with open(note) as file:
        return int(file.read())


def _is_old(program: str) -> bool:
    """Whether it takes UDP ports only when it begins. Debian 12's doesn't know its own version."""
    _, said = _run([program, "--version"], 1)
    year = re.search(r"20\d\d", said)
    return year is None or int(year[0]) < 2024


def _bound_udp(network: str) -> list[str]:
    """The UDP ports that monitors hold in the house, as pasta's ``-u`` takes them. Source: proc_net(5)."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            namespaces.join_network(network)
            with open("/proc/self/net/udp", "rb") as file:
                os.write(writing, file.read(60000))
        finally:
            os._exit(0)
    os.close(writing)
    text = b""
    while piece := os.read(reading, 65536):
        text += piece
    os.close(reading)
    os.waitpid(child, 0)
    found = []
    for line in text.decode("ascii", "replace").splitlines()[1:]:
        address, _, port = line.split()[1].partition(":")
        where = ".".join(str(byte) for byte in int(address, 16).to_bytes(4, sys.byteorder))
        found.append(str(int(port, 16)) if where == "0.0.0.0" else f"{where}/{int(port, 16)}")
    return found


def _slirp(house: House) -> int:
    """slirp4netns stays in the foreground, a child of ours; its pid. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_inheritable(writing, True)
    arguments = [
        ids.program("slirp4netns"),
        *("--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"),
        *(f"--ready-fd={writing}", house.network, INTERFACE),
    ]
    try:
        pid = os.posix_spawn(arguments[0], arguments, dict(os.environ))
    finally:
        os.close(writing)
    try:
        poller = select.poll()
        poller.register(reading, select.POLLIN)
        if not poller.poll(_READY_SECONDS * 1000) or not os.read(reading, 1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise OSError(0, f"it did not become ready; see {house.log}")
    finally:
        os.close(reading)
    return pid


def _run(arguments: list[str], stream: int = 2) -> tuple[int, str]:
    """Run to its end: exit code, and the last line it wrote to standard error (1: the first to standard output)."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            arguments[0], arguments, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, writing, stream)]
        )
    finally:
        os.close(writing)
    try:
        code = namespaces.exit_code(os.waitpid(pid, 0)[1])
        os.set_blocking(reading, False)  # what runs on in the background may hold the other end
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(reading, 65536)
    finally:
        os.close(reading)
    lines = [line for line in said.decode(errors="replace").splitlines() if "syslog" not in line and line.strip()]
    return code, lines[0 if stream == 1 else -1].strip() if lines else ""
