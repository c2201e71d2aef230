"""The few rtnetlink messages of the start path: links, addresses, routes; without pyroute2, whose import is 270 ms.

The monitor uses it in the host's network namespace, init in the container's; it imports nothing but ``socket``,
``struct`` and ``os``. A socket speaks to the namespace it was opened in, wherever its process goes later.
Sources: rtnetlink(7), netlink(7), veth(4), ``linux/rtnetlink.h``, ``linux/if_link.h``, ``linux/if_bridge.h``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

NAME_MAX = 15
"""Bytes in an interface's name (IFNAMSIZ less the final NUL)."""

_NETLINK_ROUTE, _SOL_NETLINK = 0, 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 10, 11
_NLMSG_ERROR = 2
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_ACK_TLVS, _ACK_CAPPED, _ACK_ATTR_MSG = 0x200, 0x100, 1
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE = 16, 17, 20, 24
_NESTED = 0x8000

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_NET_NS_FD = 28
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_VETH_INFO_PEER, _BRPORT_HAIRPIN = 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_GATEWAY = 5
_UP = 1

_ANSWER = 16384
"""Bytes that take any acknowledgement: a refusal may carry the request."""

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, prefixes, tos, table, protocol, scope, type, flags


def unique_name(container_id: str) -> str:
    """A name for the host's end of a container's veth pair: new for each start, and telling whose it is.

    A namespace's links outlive its last process for some milliseconds, so the name of the start before may still
    be taken.
    """
    return f"pv{container_id[:7]}{os.urandom(3).hex()}"


def hardware_address(address: str) -> bytes:
    """The Ethernet address that goes with an IPv4 address (``a.b.c.d/len``): the same for whoever has the lease.

    A neighbour that remembers the address of the start before would otherwise talk to nobody until its ARP entry is
    old and has been probed in vain: up to 40 s.
    """
    return b"\x02\x50" + _ipv4(address.partition("/")[0])  # locally administered, unicast


def link_index(name: str) -> int:
    """The index of an interface in this process's network namespace; ENODEV when there is none of that name.

    Without rtnetlink, whose lock the kernel holds for a while whenever it takes a namespace down.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name) from error


class Socket:
    """A netlink socket in the namespace it is opened in. Each method waits for the kernel's answer.

    Raises:
        OSError: with the kernel's errno; its text is the extended acknowledgement where the kernel gave one, its
            file name the interface.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def create_veth(
        self,
        host_name: str,
        peer_name: str,
        master_index: int,
        netns_fd: int,
        *,
        hardware: bytes = b"",
        mtu: int = 0,
        hairpin: bool = False,
    ) -> None:
        """Make a veth pair: ``host_name`` here, up and a port of the bridge; ``peer_name``, down, in ``netns_fd``.

        ``hardware`` is the peer's address, 6 bytes; random when empty. ``mtu`` 0 is the kernel's (1500). ``hairpin``
        lets the bridge send a frame back out of the port it came in by: needed where bridge-nf-call-iptables is on
        and a container calls its own published port.
        """
        size = _attribute(_IFLA_MTU, _u32(mtu)) if mtu else b""
        peer = _link(0) + _attribute(_IFLA_IFNAME, _name(peer_name))
        peer += _attribute(_IFLA_NET_NS_FD, _u32(netns_fd)) + size
        if hardware:
            peer += _attribute(_IFLA_ADDRESS, hardware)
        body = _link(0, _UP) + _attribute(_IFLA_IFNAME, _name(host_name)) + size
        body += _attribute(_IFLA_MASTER, _u32(master_index)) + _kind("veth", _attribute(_VETH_INFO_PEER, peer))
        messages = [(_NEWLINK, _REQUEST | _ACK | _CREATE | _EXCL, body)]
        if hairpin:  # a port's settings are taken only for a link that is there: a second message, sent along
            port = _attribute(_INFO_SLAVE_KIND, b"bridge\0")
            port += _attribute(_INFO_SLAVE_DATA | _NESTED, _attribute(_BRPORT_HAIRPIN, b"\1"))
            body = _link(0) + _attribute(_IFLA_IFNAME, _name(host_name)) + _attribute(_IFLA_LINKINFO | _NESTED, port)
            messages.append((_NEWLINK, _REQUEST | _ACK, body))
        self._exchange(host_name, *messages)

    def create_bridge(self, name: str) -> None:
        """Make a bridge, down and without an IPv4 address; EEXIST when the name is taken.

        Its hardware address is random but fixed: by default a bridge takes the lowest of its ports', which changes
        with them and makes its neighbours' ARP caches wrong.
        """
        hardware = b"\x02" + os.urandom(5)  # locally administered, unicast
        body = _link(0) + _attribute(_IFLA_IFNAME, _name(name)) + _attribute(_IFLA_ADDRESS, hardware)
        body += _kind("bridge", b"")
        self._exchange(name, (_NEWLINK, _REQUEST | _ACK | _CREATE | _EXCL, body))

    def set_up(self, index: int) -> None:
        """Bring an interface up."""
        self._exchange(f"interface {index}", _up(index))

    def set_loopback_up(self) -> None:
        """Bring ``lo`` up; the kernel gives it 127.0.0.1. In every network namespace it is interface 1."""
        self.set_up(1)

    def add_address(self, index: int, address: str) -> None:
        """Give an interface an IPv4 address, ``a.b.c.d/len``; EEXIST when it has it already."""
        self._exchange(address, _new_address(index, address))

    def set_up_member(self, index: int, address: str, gateway: str) -> None:
        """All that an end of a veth pair needs in a namespace of its own, and ``lo`` up, at one go."""
        configured = (_up(1), _new_address(index, address), _up(index), _new_default_route(gateway))
        self._exchange(address, *configured)

    def delete_link(self, name: str) -> None:
        """Delete an interface (and a veth's other end); ENODEV when there is none of that name."""
        body = _link(0) + _attribute(_IFLA_IFNAME, _name(name))
        self._exchange(name, (_DELLINK, _REQUEST | _ACK, body))

    def _exchange(self, subject: str, *messages: tuple[int, int, bytes]) -> None:
        """Send all in one datagram, wait until each is acknowledged; raises the first refusal."""
        first = self._sequence + 1
        packed = b""
        for kind, flags, body in messages:
            self._sequence += 1
            packed += _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0) + body
        self._socket.send(packed)
        waiting = set(range(first, self._sequence + 1))
        failure: OSError | None = None
        while waiting:
            data = self._socket.recv(_ANSWER)
            while data:
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
                message, data = data[:length], data[_align(length) :]
                if sequence not in waiting:
                    continue
                waiting.remove(sequence)
                if kind == _NLMSG_ERROR:
                    failure = failure or _failure(message, flags, subject)
        if failure:
            raise failure


def _failure(message: bytes, flags: int, subject: str) -> OSError | None:
    """The error that an NLMSG_ERROR tells of; None for an acknowledgement. Source: netlink(7), NETLINK_EXT_ACK."""
    number = -int(struct.unpack_from("=i", message, _HEADER.size)[0])
    if number == 0:
        return None
    text = os.strerror(number)
    if flags & _ACK_TLVS:
        offset = _HEADER.size + 4 + _HEADER.size  # past the error, at the header of the request
        if not flags & _ACK_CAPPED:  # … which is followed by the whole request
            offset += _align(struct.unpack_from("=I", message, _HEADER.size + 4)[0]) - _HEADER.size
        while offset + 4 <= len(message):
            length, kind = struct.unpack_from("=HH", message, offset)
            if kind & 0x3FFF == _ACK_ATTR_MSG:
                text += ": " + message[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
            offset += _align(max(length, 4))
    return OSError(number, text, subject)


def _up(index: int) -> tuple[int, int, bytes]:
    return _NEWLINK, _REQUEST | _ACK, _link(index, _UP)


def _new_address(index: int, address: str) -> tuple[int, int, bytes]:
    host, _, length = address.partition("/")
    packed, prefix = _ipv4(host), int(length)
    if not 0 < prefix <= 32:
        raise OSError(errno.EINVAL, "a prefix has 1 to 32 bits", address)
    body = _ADDRESS.pack(socket.AF_INET, prefix, 0, 0, index)
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    if prefix < 31:
        broadcast = int.from_bytes(packed, "big") | (0xFFFFFFFF >> prefix)
        body += _attribute(_IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    return _NEWADDR, _REQUEST | _ACK | _CREATE | _EXCL, body


def _new_default_route(gateway: str) -> tuple[int, int, bytes]:
    # table main, protocol boot, scope universe, type unicast
    body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0) + _attribute(_RTA_GATEWAY, _ipv4(gateway))
    return _NEWROUTE, _REQUEST | _ACK | _CREATE | _EXCL, body


def _link(index: int, up: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, up, up)


def _kind(kind: str, data: bytes) -> bytes:
    info = _attribute(_INFO_KIND, kind.encode() + b"\0") + (_attribute(_INFO_DATA | _NESTED, data) if data else b"")
    return _attribute(_IFLA_LINKINFO | _NESTED, info)


def _attribute(type: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, type) + value + bytes(_align(length) - length)


def _name(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_MAX or "/" in name or name in (".", "..") or any(c.isspace() for c in name):
        raise OSError(errno.EINVAL, f"an interface's name has 1 to {NAME_MAX} bytes, no slash and no space", name)
    return encoded + b"\0"


def _ipv4(address: str) -> bytes:
    try:
        return socket.inet_pton(socket.AF_INET, address)
    except OSError:
        raise OSError(errno.EINVAL, "not an IPv4 address", address) from None


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)


def _align(length: int) -> int:
    return length + 3 & ~3
