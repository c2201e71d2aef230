"""IPv4 arithmetic on plain integers: subnets, the next free address, what the host already uses.

``ipaddress`` would cost the start path more than the whole lease does.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

from pyctr_engine.errors import InvalidValue

SMALLEST_PREFIX, LARGEST_PREFIX = 8, 29


class Subnet(NamedTuple):
    """An IPv4 network: its first address as a number, and its prefix length."""

    base: int
    prefix: int

    @property
    def size(self) -> int:
        """How many addresses it has, network and broadcast address included."""
        return 1 << (32 - self.prefix)

    @property
    def gateway(self) -> int:
        """The first usable address: the bridge's."""
        return self.base + 1

    def __str__(self) -> str:
        return f"{to_text(self.base)}/{self.prefix}"

    def overlaps(self, other: Subnet) -> bool:
        """Whether they share an address."""
        return self.base < other.base + other.size and other.base < self.base + self.size


def to_number(address: str) -> int:
    """``a.b.c.d`` as a number; ValueError when it is no IPv4 address."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, address), "big")
    except OSError:
        raise ValueError(f"{address!r} is no IPv4 address") from None


def to_text(number: int) -> str:
    """A number as ``a.b.c.d``."""
    return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))


def parse_subnet(text: str) -> Subnet:
    """``a.b.c.d/len`` with no host bits set and room for containers; InvalidValue for anything else."""
    hint = "a subnet is written like 10.100.0.0/16"
    address, _, length = text.partition("/")
    try:
        base = to_number(address)
    except ValueError as error:
        raise InvalidValue(f"invalid subnet {text!r}: {error}", hint) from None
    if not (length.isascii() and length.isdigit() and SMALLEST_PREFIX <= int(length) <= LARGEST_PREFIX):
        raise InvalidValue(
            f"invalid subnet {text!r}: its prefix must have {SMALLEST_PREFIX} to {LARGEST_PREFIX} bits", hint
        )
    subnet = Subnet(base, int(length))
    if base % subnet.size:
        whole = Subnet(base - base % subnet.size, subnet.prefix)
        raise InvalidValue(f"invalid subnet {text!r}: bits below its prefix are set", f"did you mean {whole}?")
    return subnet


def next_free(subnet: Subnet, taken: Collection[int], after: int) -> int | None:
    """The lowest free address above ``after``, else the lowest free one; None when there is none.

    Addresses go round instead of being reused at once: a container's network namespace goes on answering for some
    milliseconds after its last process, and its neighbours remember its hardware address for longer.
    """
    first, last = subnet.gateway + 1, subnet.base + subnet.size - 2
    if len(taken) > last - first:
        return None
    start = after + 1 if first <= after < last else first
    for address in chain(range(start, last + 1), range(first, start)):
        if address not in taken:
            return address
    return None


def candidates(tag: str) -> Iterator[Subnet]:
    """Subnets to try for a default network, best first.

    The default state directory gets a /16 out of 10.100.0.0 … 10.127.0.0. Every other one gets a /20 out of
    10.128.0.0/9, begun at a place of its own: engines don't see each other's databases.
    """
    if not tag:
        yield from (Subnet(to_number(f"10.{second}.0.0"), 16) for second in range(100, 128))
        return
    count, base = 1 << 11, to_number("10.128.0.0")
    first = int(tag, 16) % count
    yield from (Subnet(base + (first + i) % count * (1 << 12), 20) for i in range(count))


def host_subnets(except_interface: str, routes: str = "/proc/net/route") -> list[Subnet]:
    """What the host has routes to, default routes and those of one interface left out. Source: proc_net(5)."""
    found = []
    with open(routes, encoding="ascii") as file:
        next(file, None)
        for line in file:
            interface, destination, _, _, _, _, _, mask, *_ = line.split()
            prefix = int(mask, 16).bit_count()
            if interface != except_interface and prefix:
                found.append(Subnet(_native(destination), prefix))
    return found


def nameservers(resolv: str = "/etc/resolv.conf") -> list[Subnet]:
    """The host's name servers: often behind the default route, and lost if a network of ours covered them."""
    found = []
    try:
        with open(resolv, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver" and "." in words[1]:
                    found.append(Subnet(to_number(words[1]), 32))
    except (OSError, ValueError):
        pass
    return found


def _native(word: str) -> int:
    """An address as /proc/net/route prints it: eight hex digits of the machine's own byte order."""
    return int.from_bytes(struct.pack("=I", int(word, 16)), "big")
