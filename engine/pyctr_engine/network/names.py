"""The files that tell a container names: /etc/hosts and /etc/resolv.conf.

Both are bind-mounted, so they are rewritten in place: a rename would not be seen through the mount.
Sources: hosts(5), resolv.conf(5).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence

from pyctr_engine.errors import InvalidValue
from pyctr_engine.network.addresses import to_number

SYSTEMD_RESOLV = "/run/systemd/resolve/resolv.conf"
"""What systemd-resolved itself asks, where /etc/resolv.conf names only its stub on 127.0.0.53."""

HOST_GATEWAY = "host-gateway"
"""Docker's word, in ``extra_hosts``, for the host's address as the container sees it."""

_LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
"""


def hosts_text(
    entries: Iterable[tuple[str, Sequence[str]]] = (),
    hostname: str = "",
    address: str = "",
    extra_hosts: Iterable[tuple[str, str]] = (),
    gateway: str = "",
) -> str:
    """An /etc/hosts.

    Args:
        entries: The network's other members: (address, names).
        hostname: The container's own name; ``address`` its own address, empty when it has only loopback.
        extra_hosts: The user's (name, address) pairs. They come first, so they win over the network's names;
            the address ``host-gateway`` stands for ``gateway``.

    Raises:
        InvalidValue: a name or an address that would break the file, or ``host-gateway`` without a network.
    """
    lines = [_LOCAL]
    for name, where in extra_hosts:
        if where == HOST_GATEWAY and not gateway:
            raise InvalidValue(f"{HOST_GATEWAY} for {name} needs a network", "use `--network bridge`, or an address")
        lines.append(_line(gateway if where == HOST_GATEWAY else where, [name]))
    if hostname:
        lines.append(_line(address or "127.0.0.1", [hostname]))
    lines += [_line(where, names) for where, names in entries if names]
    return "".join(lines)


def resolv_conf_text(
    host_resolv: str = "/etc/resolv.conf", systemd_resolv: str = SYSTEMD_RESOLV, loopback: str = ""
) -> str:
    """An /etc/resolv.conf with the host's search domains and options, and those of its servers that can be reached.

    Servers on the host's loopback can't be, and IPv6 ones can't be either on an IPv4 network. When none is left a
    comment says so: no server of a third party is asked without being named by the user. ``loopback`` is a server
    that stands for those on the host's loopback; empty where there is none.
    """
    kept, servers, refused = _read_resolv(host_resolv)
    if not servers and not loopback:
        upstream = _read_resolv(systemd_resolv)
        if upstream[1]:
            kept, servers, _ = upstream
    if not servers and refused and loopback:
        servers = [f"nameserver {loopback}"]
    if not servers:
        reason = f"out of a container's reach: {', '.join(refused)}" if refused else "none named"
        servers = [f"# No name server: in the host's {host_resolv}, {reason}."]
    return "".join(f"{line}\n" for line in (*kept, *servers))


def write_in_place(path: str, text: str, mode: int = 0o644, create: bool = True) -> None:
    """Make ``text`` a file's whole content, keeping its inode, owner and mode; a new file gets ``mode``.

    Without ``create`` a file that isn't there is FileNotFoundError. One write and then the cut, so that a reader
    never finds the file empty.
    """
    data = text.encode()
    fd = os.open(path, os.O_WRONLY | (os.O_CREAT if create else 0) | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(fd, data[written:], written)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def _line(address: str, names: Sequence[str]) -> str:
    return _checked_line(address, tuple(names))


@functools.lru_cache(4096)  # the same lines go into the file of each of hundreds of peers
def _checked_line(address: str, names: tuple[str, ...]) -> str:
    for word in (address, *names):
        if not word or "#" in word or any(not c.isprintable() or c.isspace() for c in word):
            raise InvalidValue(f"invalid name or address {word!r} for /etc/hosts", "no spaces and no # in it")
    return f"{address}\t{' '.join(names)}\n"


def _read_resolv(path: str) -> tuple[list[str], list[str], list[str]]:
    """The lines to keep, the reachable ``nameserver`` lines, and the servers that can't be reached."""
    kept: list[str] = []
    servers: list[str] = []
    refused: list[str] = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] != "nameserver":
            kept.append(" ".join(words))
        elif len(words) > 1:
            reachable = _is_reachable(words[1])
            (servers if reachable else refused).append(f"nameserver {words[1]}" if reachable else words[1])
    return kept, servers, refused


def _is_reachable(address: str) -> bool:
    try:
        return to_number(address) >> 24 not in (0, 127)  # 0.0.0.0 means this host, too
    except ValueError:
        return False
