"""An ordinary user's way out and in: whether there is one, and when published ports have become reachable.

The house's uplink (`pyctr_engine.house.uplink`) takes a port of the host when it sees that the port is listened on in
the house, up to a second after a start, and lets go of it as late after an end. Outside of a house nothing of this is
needed: the rules on the host are in force at once. Source: proc_net(5), net/ipv4/tcp_ipv4.c for the columns.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import Unsupported
from pyctr_engine.model.spec import Port
from pyctr_engine.paths import House, current_house

if TYPE_CHECKING:
    from pyctr_engine.house.uplink import State

SECONDS = 3.0
"""Longer than an uplink needs to notice that a port is listened on, or no more."""
_WAIT_SECONDS = 10.0
_LISTENING, _UNCONNECTED = "0A", "07"


def require(publishing: bool) -> None:
    """See to it that there is a way out, and, with ``publishing``, one in. Nothing to see to outside of a house.

    Raises Unsupported, with what to install.
    """
    house = current_house()
    if house is None:
        return
    from pyctr_engine.house import uplink  # root pays for none of it

    deadline = time.monotonic() + _WAIT_SECONDS
    while (state := uplink.read(house)) is None and time.monotonic() < deadline:  # it is just being started
        time.sleep(0.01)
    if state is None:
        raise Unsupported("the keeper of this user's namespaces doesn't answer", f"see {house.log}")
    if not state.kind:
        state = _tried_again(house)
    if not state.kind and not _has_default_route():
        if publishing:
            raise Unsupported(
                "this host has no default route, and pasta leads no ports in without one",
                "give the host a route, or publish nothing",
            )
        return  # the host leads nowhere itself: containers reach each other
    if not state.kind:
        if state.problem:
            hint = "`pyctr-tui doctor` examines the host; `--network none` and `host` work without"
            raise Unsupported(f"there is no network for this user's containers: {state.problem}", hint)
        raise Unsupported(
            "an ordinary user's containers need pasta or slirp4netns for their network, and neither is installed",
            f"{uplink.INSTALL}; `--network none` and `host` work without",
        )
    if publishing and state.kind != "pasta":
        raise Unsupported(
            f"published ports need pasta, and this user's network is led out by {state.kind}",
            "as root: `apt-get install passt`, then stop all containers and wait two minutes",
        )


def _has_default_route() -> bool:
    """Whether this host's packets have a way out. Columns: interface, destination, gateway, …, mask (the eighth)."""
    with open("/proc/net/route") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return any(len(row) > 7 and row[1] == row[7] == "00000000" for row in rows)


def _tried_again(house: House) -> State:
    """Have the keeper try again: the administrator may have mended what was in the way."""
    from pyctr_engine.house import uplink

    _signal_keeper(house, signal.SIGHUP)
    return uplink.read(house) or uplink.State()


def renew() -> None:
    """Have another uplink, which sees the UDP ports that are there now; what went by the old one is cut off."""
    house = current_house()
    if house is not None:
        _signal_keeper(house, signal.SIGUSR1)


def _signal_keeper(house: House, number: signal.Signals) -> None:
    """Signal it, and wait until it has told of an uplink anew."""
    before = os.stat(house.uplink).st_ino
    with open(house.identity) as file:
        keeper = int(file.read().split()[0])
    os.kill(keeper, number)
    deadline = time.monotonic() + _WAIT_SECONDS
    while os.stat(house.uplink).st_ino == before and time.monotonic() < deadline:
        time.sleep(0.01)


def resolver() -> str:
    """The name server that stands for those on the host's loopback; empty where there is none."""
    house = current_house()
    if house is None:
        return ""
    from pyctr_engine.house import uplink

    state = uplink.read(house)
    return state.resolver if state is not None else ""


def is_users(port: Port) -> bool:
    """Whether what holds a port of the host is the user's own: the uplink, perhaps, of a container that has ended."""
    return current_house() is not None and "0" in _holders(port)


def unreachable(ports: Sequence[Port], lives: Callable[[], bool]) -> list[Port]:
    """Wait until the uplink has taken ports that are listened on; those that it has not taken in time.

    Returns at once, with nothing, outside of a house, and when what ``lives`` asks for does no more.
    """
    if current_house() is None:
        return []
    deadline = time.monotonic() + SECONDS
    while True:
        missing = [port for port in ports if "0" not in _holders(port)]
        if not missing or not lives():
            return []
        if time.monotonic() > deadline:
            return missing
        time.sleep(0.02)


def _holders(port: Port) -> list[str]:
    """The owners, as this user namespace numbers them, of the host's sockets that take what comes to a port."""
    wanted = f":{port.host_port:04X}"
    state = _UNCONNECTED if port.protocol == "udp" else _LISTENING
    found = []
    for path in (f"/proc/net/{port.protocol}", f"/proc/net/{port.protocol}6"):
        if not os.path.exists(path):
            continue
        with open(path, encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if len(fields) > 7 and fields[1].endswith(wanted) and fields[3] == state:
                    found.append(fields[7])
    return found
