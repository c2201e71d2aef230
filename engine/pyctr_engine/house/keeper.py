"""The keeper: holds the house's namespaces open while somebody needs them, and sees to what leads out of its network.

It stays in the host's network namespace, from where pasta can be started at any time. It holds no facts and does
nothing for containers: when it is killed they go on, and the next call lets another in (`making`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time

from pyctr_engine.house.uplink import Uplink
from pyctr_engine.linux import mount, namespaces
from pyctr_engine.paths import House

NETWORK_FD = 3
"""The keeper's descriptor of the network namespace, known to all: /proc/PID/fd/3."""
REQUESTS = (signal.SIGHUP, signal.SIGUSR1)
"""What the keeper is asked by: to record itself again and to try again for an uplink; and to have another uplink.

Ignored until it can answer.
"""
_LOOK_SECONDS = 10.0


def main(run: str, idle_seconds: str) -> None:
    """Keep the house of ``run`` until nobody has been in it for so many seconds."""
    namespaces.set_name("pyctr-house")
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *REQUESTS}:
        signal.signal(number, signal.SIG_DFL)
    house = House(run)
    network = os.open(house.network, os.O_RDONLY | os.O_CLOEXEC)  # held: a wiped run directory takes the mount along
    if network != NETWORK_FD:
        os.dup2(network, NETWORK_FD, inheritable=False)
        os.close(network)
    Keeper(house, float(idle_seconds)).serve()


def make_place(house: House) -> None:
    """Make what the network namespace is mounted on."""
    os.makedirs(os.path.dirname(house.network), 0o700, exist_ok=True)
    os.close(os.open(house.network, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


class Keeper:
    """Looks now and then whether anybody is left, and after the uplink."""

    def __init__(self, house: House, patience: float) -> None:
        self.house = house
        self.patience = patience
        self.uplink = Uplink(house)
        self.started = namespaces.start_time(os.getpid())
        self.seen = time.monotonic()
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.renew = False
        signal.signal(signal.SIGHUP, lambda *_: os.eventfd_write(self.wake, 1))
        signal.signal(signal.SIGUSR1, self._on_renew)

    def serve(self) -> None:
        """Return when the house is left."""
        self.uplink.begin()
        period = min(_LOOK_SECONDS, max(0.2, self.patience / 3))
        poller = select.poll()
        poller.register(self.wake, select.POLLIN)
        while True:
            watched = self.uplink.pidfd
            if watched >= 0:
                poller.register(watched, select.POLLIN)
            ready = [fd for fd, _ in poller.poll(period * 1000)]
            if watched >= 0:
                poller.unregister(watched)
            if not self._is_ours():  # first: what was wiped is made again
                return  # another has our place, and the uplink
            if self.wake in ready:
                os.eventfd_read(self.wake)
                if self.renew:
                    self.renew = False
                    self.uplink.end()
                if not self.uplink.pid:
                    self.uplink.begin()  # what was in its way may be mended
            elif watched in ready:
                self.uplink.mend()
            if self._inhabitants():
                self.seen = time.monotonic()
            elif time.monotonic() - self.seen >= self.patience and self._leave():
                return

    def _on_renew(self, *_: object) -> None:
        """SIGUSR1's handler: a new uplink is wanted, in place of the one that there is."""
        self.renew = True
        os.eventfd_write(self.wake, 1)

    def _is_ours(self) -> bool:
        """Whether we are still the recorded one; a wiped record is made again."""
        own = f"{os.getpid()} {self.started}"
        try:
            with open(self.house.identity) as file:
                return file.read() == own
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                self._record_again(own)
            return True
        except OSError:
            return True

    def _record_again(self, own: str) -> None:
        """Make again what a wiped run directory held, its identity last: by it others know that all is there."""
        os.makedirs(self.house.run, 0o700, exist_ok=True)
        make_place(self.house)
        if os.stat(self.house.network).st_ino != os.fstat(NETWORK_FD).st_ino:
            mount.mount(f"/proc/self/fd/{NETWORK_FD}", self.house.network, "", mount.MS_BIND)
        self.uplink.note_again()
        with open(f"{self.house.identity}.new", "w") as file:
            file.write(own)
        os.rename(f"{self.house.identity}.new", self.house.identity)

    def _leave(self) -> bool:
        """Go, unless somebody is just entering."""
        with open(self.house.lock, "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self._inhabitants():
                return False
            self.uplink.end()
            for path in (self.house.identity, self.house.uplink, self.house.network):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        return True

    def _inhabitants(self) -> bool:
        """Whether another process is in our user namespace, the uplink's aside."""
        own, here = os.getpid(), os.stat("/proc/self/ns/user").st_ino
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in (own, self.uplink.pid):
                continue
            try:
                if os.stat(f"/proc/{name}").st_uid != 0:  # the user's own, as this namespace shows it
                    continue
                if os.stat(f"/proc/{name}/ns/user").st_ino == here:
                    return True
            except OSError:
                continue
        return False
