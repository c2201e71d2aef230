"""``network_mode:``, ``networks:``, ``extra_hosts:`` and ``links:``."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from pyctr_engine.model.stack import Dependency
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node
from pyctr_engine.stacks.draft import Draft

_UNSUPPORTED = (
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "driver_opts",
    "gw_priority",
    "interface_name",
)


def network_mode(draft: Draft, node: Node) -> None:
    """``network_mode:``, none, host, bridge, service:<name> or container:<name>."""
    text = values.word(node, "network_mode")
    kind, _, name = text.partition(":")
    if kind == "service" and name:
        draft.joins = (name, node)
        draft.depend(Dependency(name), node)
    elif text in ("none", "host", "bridge") or (kind == "container" and name):
        draft.request = replace(draft.request, network=text)
    else:
        hint = "none, host, bridge, service:<name> or container:<name>"
        raise node.error(f'network_mode can\'t be "{text}"', hint)
    if draft.node.get("networks") is not None:
        raise node.error("network_mode and networks exclude each other", "keep one of them")


def networks(draft: Draft, node: Node) -> None:
    """``networks:``, names, or a mapping of name → aliases."""
    aliases: list[str] = []
    if isinstance(node, Mapping):
        for key, value in node:
            draft.networks[key.text] = key
            options = values.mapping(value, f"network {key.text}")
            values.known_keys(options, f"network {key.text}", ("aliases", "priority"), _UNSUPPORTED)
            if (given := options.get("aliases")) is not None:
                aliases += values.words(given, "aliases", "an alias")
    else:
        for item in values.items(node, "networks"):
            draft.networks[values.word(item, "a network")] = item
    draft.request = replace(draft.request, aliases=tuple(dict.fromkeys(aliases)))


def links(draft: Draft, node: Node) -> None:
    """``links:``, the old way to depend on a service; it is reached by its name anyway."""
    for item in values.items(node, "links"):
        name, _, alias = values.word(item, "a link").partition(":")
        if alias and alias != name:
            raise item.error(
                "a link under another name is not supported yet", f"give {name} an alias under networks:"
            )
        draft.depend(Dependency(name), item)


def extra_hosts(draft: Draft, node: Node) -> None:
    """``extra_hosts:``, name → address, or a list of ``name=address`` (or ``name:address``)."""
    found: list[tuple[str, str]] = []
    if isinstance(node, Mapping):
        for key, value in node:
            for item in values.one_or_more(value, "addresses"):
                found.append((key.text, _address(item, values.word(item, "an address"))))
    else:
        for item in values.items(node, "extra_hosts"):
            text = values.word(item, "an extra host")
            # a name has no colon, an IPv6 address has; so the first separator is the right one
            name, separator, address = text.partition("=" if "=" in text else ":")
            if not name or not separator:
                raise item.error(f'"{text}" is not name=address', 'for example "db.local=10.0.0.5"')
            found.append((name, _address(item, address)))
    draft.request = replace(draft.request, extra_hosts=tuple(found))


def _address(node: Node, text: str) -> str:
    if text == "host-gateway":
        raise node.error("host-gateway is not supported yet", "give the host's address")
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise node.error(f'"{text}" is not an IP address') from None
