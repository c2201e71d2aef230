"""Machines for these tests: one at a time, kept while the next test wants the same kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.guest.image import USER
from tests.guest.machine import Machine, Ran
from tests.guest.selection import IS_WHOLE, SYSTEMD, Kind

collect_ignore = [] if os.environ.get("PYCTR_INSIDE") else ["inside"]
if not IS_WHOLE:
    collect_ignore += ["test_boot.py", "test_clock.py", "test_rootless_more.py"]


class Machines:
    """The machine that runs now, if any."""

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self.machine: Machine | None = None

    def get(self, kind: Kind) -> Machine:
        """A machine of that kind; the one there is if it is one, and still answers."""
        if self.machine is None or kind != self.kind:
            self.close()
            self.machine = Machine(kind.layout, kind.systemd)
            self.kind = kind
        return self.machine

    def close(self) -> None:
        """Power off."""
        if self.machine is not None:
            self.machine.close()
            self.machine = None


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    machines = Machines()
    yield machines
    machines.close()


@pytest.fixture
def guest(machines: Machines) -> Machine:
    """A machine under systemd."""
    return machines.get(SYSTEMD)


@pytest.fixture
def machine(guest: Machine) -> Iterator[Machine]:
    """The guest, without containers before and after."""
    guest.run("sh", "-c", "pyctr-tui images | grep -q pyctr/base || pyctr-tui load -i $PYCTR_TEST_BASE")
    yield guest
    guest.run("sh", "-c", "pyctr-tui ps -aq | xargs -r pyctr-tui rm -f; pyctr-tui service uninstall")
    assert guest.run("pyctr-tui", "system", "check").code == 0


def states(machine: Machine) -> dict[str, str]:
    """Each container's state, by name."""
    listed = machine.run("pyctr-tui", "ps", "-a", "--format", "{{.Names}} {{.State}}").out
    return dict(line.split() for line in listed.splitlines())


class Account:
    """The guest's ordinary user, as after a login."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __call__(self, *words: str, check: bool = True) -> Ran:
        return self.machine.run("pyctr-tui", *words, user=USER, check=check)

    def cgroup(self, name: str) -> str:
        """Where a container is in the tree, as the host sees it."""
        pid = self("inspect", "--format", "{{.State.Pid}}", name).out.strip()
        return self.machine.run("cat", f"/proc/{pid}/cgroup").out.strip().removeprefix("0::")

    def limit(self, name: str, file: str) -> str:
        return self.machine.run("cat", f"/sys/fs/cgroup{self.cgroup(name)}/{file}").out.strip()


@pytest.fixture
def account(guest: Machine) -> Iterator[Account]:
    guest.run("loginctl", "enable-linger", USER)  # else the user's systemd ends with each session
    guest.run("modprobe", "tun")
    guest.run("sh", "-c", "pyctr-tui images | grep -q pyctr/base || pyctr-tui load -i $PYCTR_TEST_BASE", user=USER)
    user = Account(guest)
    yield user
    guest.run("sh", "-c", "pyctr-tui ps -aq | xargs -r pyctr-tui rm -f", user=USER)
    assert user("system", "check").code == 0
    guest.run("loginctl", "disable-linger", USER)
