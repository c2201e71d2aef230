"""``ports:`` and ``expose:``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from pyctr_engine.model.spec import Port, Protocol
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node
from pyctr_engine.stacks.draft import Draft

_SHORT = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:]*):)??(?:(?P<host>[^:]*):)?(?P<container>[^:/]+)(?:/(?P<protocol>[^:/]*))?"
)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp"}
_HINT = 'for example "8080:80" or "127.0.0.1:8080:80/udp"'


def ports(draft: Draft, node: Node) -> None:
    """``ports:``, a list of short forms and mappings."""
    found: list[Port] = []
    for item in values.items(node, "ports"):
        for port in _long(item, draft) if isinstance(item, Mapping) else _short(item):
            if port in found:
                raise item.error(f"port {port.container_port} is published twice in the same way", "keep one")
            found.append(port)
    draft.request = replace(draft.request, ports=tuple(found))


def expose(draft: Draft, node: Node) -> None:
    """``expose:`` has no effect: services of a stack reach all of each other's ports."""
    for item in values.items(node, "expose"):
        text, _, protocol = values.word(item, "a port").partition("/")
        _span(item, text)
        _protocol(item, protocol or "tcp")


def _short(node: Node) -> list[Port]:
    text = values.word(node, "a port")
    match = _SHORT.fullmatch(text)
    if match is None:
        raise node.error(f'"{text}" is not a port', _HINT)
    protocol = _protocol(node, "tcp" if match["protocol"] is None else match["protocol"])
    address = _address(node, (match["ip"] or "").strip("[]"))
    inside = _span(node, match["container"])
    if not match["host"]:
        return [Port(port, 0, address, protocol) for port in inside]
    outside = _span(node, match["host"], least=0)
    if len(inside) != len(outside):
        raise node.error(
            f"{len(outside)} host ports can't be matched with {len(inside)} container ports",
            "both ranges must be of one length",
        )
    return [Port(port, host, address, protocol) for host, port in zip(outside, inside, strict=True)]


def _long(node: Mapping, draft: Draft) -> list[Port]:
    known = ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol")
    values.known_keys(node, "a port", known)
    target = node.get("target")
    if target is None:
        raise node.error("a port needs a target", "the port inside the container")
    container_port = values.integer(target, "target", 1, 65535)
    address, protocol, host_port = "", "tcp", 0
    if (given := node.get("host_ip")) is not None:
        address = _address(given, values.string(given, "host_ip"))
    if (given := node.get("protocol")) is not None:
        protocol = values.string(given, "protocol")
    if (given := node.get("mode")) is not None:
        values.choice(given, "mode", ("host", "ingress"))
    if (given := node.get("published")) is not None:
        text = values.string(given, "published")
        if "-" in text:
            raise given.error("a range of published ports for one target is not supported yet", "give one port")
        host_port = values.integer(given, "published", 0, 65535) if text else 0
    return [Port(container_port, host_port, address, _protocol(node, protocol))]


def _protocol(node: Node, text: str) -> Protocol:
    known = _PROTOCOLS.get(text)
    if known is not None:
        return known
    if text == "sctp":
        raise node.error("sctp is not supported yet", "tcp and udp are")
    raise node.error(f'there is no protocol "{text}"', "tcp or udp")


def _address(node: Node, text: str) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise node.error(f'"{text}" is not an IP address', _HINT) from None
    if address.version == 6:
        raise node.error("publishing on IPv6 addresses is not supported yet", "leave the address out, or use IPv4")
    return "" if address.is_unspecified else str(address)


def _span(node: Node, text: str, least: int = 1) -> list[int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise node.error(f'"{text}" is not a port', _HINT)
    first = int(match[1])
    last = int(match[2] or first)
    if not least <= first <= 65535 or last > 65535:
        raise node.error(f"a port is between {least} and 65535, not {text}")
    if last < first:
        raise node.error(f"the range {text} ends before it begins")
    return list(range(first, last + 1))
