"""``network ls`` and ``network inspect``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import NotFound
from pyctr_tui.cli import output
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.inspect import show
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.network import NetworkUse
    from pyctr_engine.model.spec import Port

_LIST = Grammar("network ls", "", "List networks.", Option("-q, --quiet", "Only names"), output.LIST_FORMAT)
_INSPECT = Grammar(
    "network inspect",
    "NETWORK…",
    "Show who is on networks, as one JSON array.",
    output.FORMAT,
    least=1,
    most=None,
)


def list_(call: Call, words: Sequence[str]) -> int:
    """``network ls``."""
    parsed = _LIST.parse(words)
    found = call.engine.networks()
    if parsed.flag("quiet"):
        output.lines(one.network.name for one in found)
    else:
        output.rows(map(_row, found), parsed.value("format"), ("Name", "Subnet", "Bridge", "Members"))
    return 0


def inspect(call: Call, words: Sequence[str]) -> int:
    """``network inspect``."""
    parsed = _INSPECT.parse(words)
    found = {one.network.name: one for one in call.engine.networks()}
    for name in parsed.arguments:
        if name not in found:
            raise NotFound(f"no such network: {name}", "`pyctr-tui network ls` lists them")
    show([_object(found[name]) for name in parsed.arguments], parsed.value("format"))
    return 0


def _row(one: NetworkUse) -> output.Row:
    network = one.network
    return {
        "Name": network.name, "Subnet": network.subnet, "Bridge": network.bridge, "Gateway": network.gateway,
        "Members": len(one.members),
    }  # fmt: skip


def _object(one: NetworkUse) -> dict[str, object]:
    network = one.network
    return {
        "Name": network.name,
        "Driver": "bridge" if network.bridge else network.name,
        "Bridge": network.bridge,
        "IPAM": {"Config": [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else []},
        "Containers": {
            member.id: {
                "Name": member.name,
                "IPv4Address": member.address,
                "Names": list(member.names),
                "Running": member.is_up,
                "Ports": [
                    {
                        "HostIp": p.host_ip,
                        "HostPort": p.host_port,
                        "ContainerPort": p.container_port,
                        "Protocol": p.protocol,
                    }
                    for p in member.ports
                ],
            }
            for member in one.members
        },
    }


def _port(port: Port) -> dict[str, object]:
    return {
        "HostIp": port.host_ip, "HostPort": port.host_port, "ContainerPort": port.container_port,
        "Protocol": port.protocol,
    }  # fmt: skip
