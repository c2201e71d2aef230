"""Networking: links, nftables, forwarding, and Docker's firewall in the way."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyctr_engine.errors import EngineError
from pyctr_engine.host import files
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths

Outcomes = Mapping[str, tuple[str, str]]


def check(paths: Paths, outcomes: Outcomes) -> list[Finding]:
    """All about networking."""
    nft = nftables(outcomes)
    found = [*links(outcomes), nft, forwarding(files.read("/proc/sys/net/ipv4/ip_forward"))]
    if os.geteuid() == 0 and nft.level == "ok":
        bridged = files.read("/proc/sys/net/bridge/bridge-nf-call-iptables") == "1"
        found.append(foreign_firewall(_forward_chain(), bridged, f"pyctr-{paths.tag}" if paths.tag else "pyctr0"))
    return found


def check_for_user(paths: Paths, outcomes: Outcomes) -> list[Finding]:
    """What containers' own network is made of, in the user's namespaces."""
    return [*links(outcomes), nftables(outcomes)]


def links(outcomes: Outcomes) -> list[Finding]:
    """Whether bridges and veth pairs can be made."""
    found = []
    for name in ("bridge", "veth"):
        result, detail = outcomes.get(name, ("failed", "could not be tried"))
        if result == "ok":
            found.append(Finding("ok", name, "can be made"))
        else:
            cost = f"only --network none and host work: `modprobe {name}`"
            found.append(Finding("fail", name, f"can't be made: {detail}", cost))
    return found


def nftables(outcomes: Outcomes) -> Finding:
    """Whether the library is there, and the kernel takes rules."""
    result, detail = outcomes.get("nftables", ("failed", "could not be tried"))
    if result == "ok":
        return Finding("ok", "nftables", "the kernel takes rules")
    hint = (
        "`apt-get install libnftables1`" if "libnftables" in detail else "`modprobe nf_tables nft_chain_nat nft_masq`"
    )
    return Finding("fail", "nftables", f"can't be used: {detail}", f"no way out and no published ports: {hint}")


def forwarding(value: str) -> Finding:
    """Whether packets are forwarded."""
    if value == "1":
        return Finding("ok", "ip_forward", "on")
    return Finding("ok", "ip_forward", "off; switched on with the first container on a bridge")


def foreign_firewall(forward: str, bridged: bool, bridge: str) -> Finding:
    """Whether somebody else's rules (Docker's, most often) drop what containers forward.

    ``forward`` is the listing of iptables' FORWARD chain, ``bridged`` whether it also sees traffic within a bridge.
    A rule of ours can't help: a packet accepted in one table still passes through all others.
    """
    if "policy drop" not in forward:
        return Finding("ok", "foreign firewall", "nothing drops forwarded packets")
    chain = "DOCKER-USER" if "DOCKER-USER" in forward else "FORWARD"
    lost = "other containers, the network" if bridged else "the network"
    return Finding(
        "warn",
        "foreign firewall",
        "iptables' FORWARD chain drops what it doesn't know (Docker sets it so)",
        f"containers can't reach {lost}: `iptables -I {chain} -i {bridge} -j ACCEPT; "
        f"iptables -I {chain} -o {bridge} -j ACCEPT`",
    )


def _forward_chain() -> str:
    """The listing of the chain; empty without one. Rules of the older iptables-legacy can't be seen this way."""
    from pyctr_engine.linux import nftables as nft

    try:
        return nft.run("list chain ip filter FORWARD")
    except EngineError:
        return ""
