"""The bridge and its links, on the real kernel."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from pyctr_engine.errors import EngineError, NotFound
from pyctr_engine.linux import nftables, rtnetlink
from pyctr_engine.model.network import Network
from pyctr_engine.model.spec import Port
from pyctr_engine.network import bridge, firewall
from pyctr_engine.network.store import NetworkStore
from tests.engine.network.conftest import Join
from tests.engine.network.members import Member

pytestmark = pytest.mark.root


def read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def test_the_bridge_is_up_with_the_gateways_address_and_no_ipv6(network: Network) -> None:
    shown = subprocess.run(
        ["ip", "address", "show", network.bridge], capture_output=True, text=True, check=True
    ).stdout
    assert ",UP" in shown
    assert f"inet {network.gateway}/20 " in shown
    assert "inet6" not in shown
    assert read("/proc/sys/net/ipv4/ip_forward") == "1"
    assert read(f"/proc/sys/net/ipv4/conf/{network.bridge}/route_localnet") == "1"


def test_ensuring_again_changes_nothing(network: Network) -> None:
    def look() -> tuple[int, str, str]:
        table = nftables.run(f"list table ip {network.bridge}")
        return os.stat(f"/sys/class/net/{network.bridge}").st_ino, read(hardware), table

    hardware = f"/sys/class/net/{network.bridge}/address"
    firewall.publish(network, "10.128.0.9", (Port(80, 47090),))
    before = look()
    bridge.ensure(network)
    assert look() == before


def test_what_is_missing_is_made_again(network: Network) -> None:
    for damage in (
        ["ip", "link", "set", network.bridge, "down"],
        ["ip", "address", "flush", "dev", network.bridge],
        ["sysctl", "-qw", f"net.ipv4.conf.{network.bridge}.route_localnet=0"],
        ["ip", "link", "delete", network.bridge],
    ):
        subprocess.run(damage, check=True)
        bridge.ensure(network)
        test_the_bridge_is_up_with_the_gateways_address_and_no_ipv6(network)


def test_a_bridge_of_an_earlier_subnet_is_made_anew(network: Network) -> None:
    moved = Network(network.name, network.bridge, "198.19.77.0/24", "198.19.77.1")
    bridge.ensure(moved)
    shown = subprocess.run(
        ["ip", "address", "show", network.bridge], capture_output=True, text=True, check=True
    ).stdout
    assert "inet 198.19.77.1/24 " in shown
    assert network.gateway not in shown
    assert moved.subnet in nftables.run(f"list table ip {network.bridge}")


def test_removal_leaves_neither_link_nor_table_and_may_be_repeated(network: Network, web: Member) -> None:
    firewall.publish(network, web.address, (Port(80, 47091),))
    assert bridge.ports(network) == [web.link]
    bridge.remove(network)
    bridge.remove(network)
    assert not bridge.exists(network)
    assert not os.path.exists(f"/sys/class/net/{network.bridge}")
    assert bridge.ports(network) == []
    with pytest.raises(NotFound):
        nftables.run(f"list table ip {network.bridge}")


def test_an_interface_of_that_name_that_is_no_bridge_is_left_alone(store: NetworkStore) -> None:
    network = store.default()
    subprocess.run(["ip", "link", "add", network.bridge, "type", "veth"], check=True)
    try:
        with pytest.raises(EngineError, match="is no bridge") as caught:
            bridge.ensure(network)
        assert network.bridge in caught.value.hint
    finally:
        subprocess.run(["ip", "link", "delete", network.bridge], check=True)


def test_the_bridge_keeps_its_hardware_address_when_ports_come_and_go(network: Network, join: Join) -> None:
    hardware = f"/sys/class/net/{network.bridge}/address"
    before = read(hardware)
    for i in range(4):
        join(f"member{i}")
    assert read(hardware) == before


def test_hairpin_is_set_on_a_port_that_asks_for_it(network: Network, web: Member) -> None:
    assert read(f"/sys/class/net/{web.link}/brport/hairpin_mode") == "1"


def test_a_link_takes_its_mtu_at_both_ends_and_goes_with_its_namespace(network: Network, web: Member) -> None:
    name = rtnetlink.unique_name("mtu")
    namespace = os.open(f"/proc/{web.process.pid}/ns/net", os.O_RDONLY)
    try:
        with rtnetlink.Socket() as netlink:
            netlink.create_veth(name, "eth1", rtnetlink.link_index(network.bridge), namespace, mtu=1400)
    finally:
        os.close(namespace)
    inside = ["nsenter", "-t", str(web.process.pid), "-n", "ip", "link", "show", "eth1"]
    shown = subprocess.run(inside, capture_output=True, text=True, check=True).stdout
    assert "mtu 1400" in shown
    assert read(f"/sys/class/net/{name}/mtu") == "1400"
    assert read(f"/sys/class/net/{name}/brport/hairpin_mode") == "0"


def test_the_kernels_refusals_come_with_their_errno_and_its_words(network: Network) -> None:
    with rtnetlink.Socket() as netlink:
        with pytest.raises(OSError) as caught:
            netlink.create_bridge(network.bridge)
        assert (caught.value.errno, caught.value.filename) == (errno.EEXIST, network.bridge)
        with pytest.raises(OSError) as caught:
            rtnetlink.link_index("nonesuch")
        assert caught.value.errno == errno.ENODEV
        with pytest.raises(OSError, match=r"Device not found|No such device") as caught:
            netlink.add_address(0x7FFFFFFF, "198.51.100.2/24")
        assert caught.value.errno == errno.ENODEV
        assert rtnetlink.link_index("lo") == 1  # a refusal leaves the socket usable


def test_nft_s_own_words_are_kept(network: Network) -> None:
    with pytest.raises(EngineError, match="syntax error") as caught:
        nftables.run(f"add rule ip {network.bridge} output accept nonsense")
    assert "nonsense" in caught.value.hint


def test_a_forked_child_talks_to_the_firewall_for_itself(network: Network) -> None:
    assert network.bridge in nftables.run("list tables")
    pid = os.fork()
    if pid == 0:
        try:
            found = network.bridge in nftables.run("list tables")
            os._exit(0 if found else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert network.bridge in nftables.run("list tables")
