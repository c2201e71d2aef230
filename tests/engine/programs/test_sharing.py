"""Containers that share: the host's network, its file system, its devices, another container's network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict
from pyctr_engine.model.spec import ContainerRequest, Device, Mount
from pyctr_engine.model.status import Container, State
from tests.engine.programs.conftest import IMAGE, House, fetch, until

pytestmark = pytest.mark.root

SERVER = ("python3", "-m", "http.server", "--directory", "/etc", "--bind")
ASK = (
    "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/debian_version', timeout=30).read().decode())"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asks(house: House, container: Container) -> str:
    return house.exec(container, "python3", "-c", ASK).out.strip()


def test_with_the_hosts_network_it_sees_its_interfaces_and_listens_on_its_ports(house: House) -> None:
    port = free_port()
    container = house.start(*SERVER, "127.0.0.1", str(port), network="host", stop_grace=0.0)
    assert fetch(port, "/debian_version").startswith("12")
    # sysfs would show the links of the namespace that it was mounted in
    inside = house.shell(container, "python3 -c 'import socket; print(*(n for _, n in socket.if_nameindex()))'")
    assert set(inside.split()) == {name for _, name in socket.if_nameindex()}
    assert os.stat(f"/proc/{container.status.pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
    assert house.shell(container, "ls /sys/class/net").split() == sorted(os.listdir("/sys/class/net"))


def test_the_whole_host_read_only(house: House) -> None:
    mounts = (Mount("bind", "/", "/host", read_only=True),)
    container = house.start(mounts=mounts)
    assert house.shell(container, "cat /host/etc/hostname") == Path("/etc/hostname").read_text().strip()
    assert house.shell(container, "stat -c %u:%g /host/usr /host/etc/passwd") == "0:0\n0:0"
    for directory in ("/host", "/host/tmp", "/host/run", "/host/dev/shm"):
        outcome = house.exec(container, "touch", f"{directory}/mark")
        assert "Read-only file system" in outcome.err, outcome
    assert house.engine.changes(container.id) == []


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_a_bind_does_not_open_the_hosts_disks(house: House, network: str) -> None:
    """docker's device rules refuse it; here the node can be seen, in a bound tree or bound alone, but not opened."""
    disks = [name for name in os.listdir("/sys/class/block") if os.path.exists(f"/dev/{name}")]
    if not disks:
        pytest.skip("this host has no block device")
    mounts = (Mount("bind", "/", "/host", read_only=True), Mount("bind", f"/dev/{disks[0]}", "/disk"))
    container = house.start(mounts=mounts, network=network)
    for path in (f"/host/dev/{disks[0]}", "/disk"):
        outcome = house.exec(container, "head", "-c", "1", path)
        assert "Permission denied" in outcome.err, outcome


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_dev_null_can_be_bound_over_a_file(house: House, network: str) -> None:
    mounts = (Mount("bind", "/dev/null", "/etc/debian_version"),)
    container = house.start(mounts=mounts, network=network)
    assert house.shell(container, "echo gone > /etc/debian_version; cat /etc/debian_version") == ""


def test_a_device_under_another_name(house: House) -> None:
    devices = (Device("/dev/null", "/dev/x"), Device("/dev/zero", "/dev/deep/y"))
    container = house.start(devices=devices)
    assert (
        house.shell(container, "echo gone > /dev/x; stat -c %t:%T /dev/x; head -c 4 /dev/deep/y | wc -c") == "1:3\n4"
    )
    assert house.shell(container, "echo gone > /dev/x; wc -c < /dev/x", user="nobody") == "0"


def test_another_containers_network_is_shared_address_localhost_and_names(house: House) -> None:
    server = house.start(*SERVER, "127.0.0.1", name="server", stop_grace=0.0)
    guest = house.start(network="container:server")
    assert until(lambda: asks(house, guest).startswith("12")), house.log(server)
    for command in ("hostname -I", "hostname", "cat /etc/hosts", "cat /etc/resolv.conf"):
        assert house.shell(guest, command) == house.shell(server, command), command
    assert server.spec.address.split("/")[0] in house.shell(guest, "hostname -I")
    assert house.shell(guest, "cat /proc/1/comm") == "sleep", "but not its processes"


def test_a_guest_of_a_network_outlives_its_host_and_joins_it_anew_when_started_again(house: House) -> None:
    server = house.start(*SERVER, "127.0.0.1", name="server", stop_grace=0.0)
    guest = house.start(network="container:server")
    house.engine.stop(server.id)
    assert house.engine.container(guest.id).state is State.RUNNING
    house.shell(guest, "ping -n -c 1 -W 10 127.0.0.1")
    house.engine.start(server.id)
    assert asks(house, guest) == "", "as in docker: it keeps the network that it was started in"
    house.engine.restart(guest.id)
    assert until(lambda: asks(house, guest).startswith("12"))


def test_the_network_of_a_container_that_does_not_run_cannot_be_shared(house: House) -> None:
    server = house.start(name="server")
    guest = house.engine.create(ContainerRequest(IMAGE, command=("true",), network="container:server"))
    house.engine.stop(server.id)
    with pytest.raises(Conflict, match="not running"):
        house.engine.start(guest.id)
