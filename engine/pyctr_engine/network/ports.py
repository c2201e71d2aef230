"""Published ports: who has which, and whether the host has them to give.

Ports are published on IPv4. Rows live from a container's start to its end: a stopped container holds no port.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable
from sqlite3 import Connection

from pyctr_engine.errors import Conflict, InvalidValue, NotPermitted, Unsupported, from_os_error
from pyctr_engine.house.network import in_network
from pyctr_engine.model.network import PublishedPort
from pyctr_engine.model.spec import Port
from pyctr_engine.network import addresses, uplink
from pyctr_engine.paths import current_house, is_rootless

ANY = ("", "0.0.0.0")
"""Spellings of "every address of the host"; the first one is kept."""


def allocate(connection: Connection, container_id: str, ports: Iterable[Port]) -> tuple[Port, ...]:
    """Give ports to a container inside the caller's transaction, in place of those it had.

    Returns the ports with a real ``host_port`` each and ``host_ip`` "" for every address.

    Raises:
        Conflict: another container or a program on the host has one of them.
        InvalidValue: a port number, or an address that is not this host's.
        Unsupported: an IPv6 address.
    """
    release(connection, container_id)
    allocated: list[Port] = []
    held: list[socket.socket] = []
    try:
        for port in ports:
            wanted = _normal(port)
            if wanted.host_port:
                _check_untaken(connection, wanted, container_id)
                held.append(_bind_when_free(wanted))
            else:
                wanted, sock = _find_free(connection, wanted)
                held.append(sock)
            connection.execute(
                "INSERT INTO published_ports VALUES (?, ?, ?, ?, ?)",
                (wanted.protocol, wanted.host_ip, wanted.host_port, container_id, wanted.container_port),
            )
            allocated.append(wanted)
    finally:
        for sock in held:
            sock.close()
    return tuple(allocated)


def release(connection: Connection, container_id: str) -> None:
    """Take back a container's ports; nothing happens when it has none."""
    connection.execute("DELETE FROM published_ports WHERE container = ?", (container_id,))


def allocated(connection: Connection, container_id: str) -> tuple[Port, ...]:
    """The ports a container has now."""
    rows = connection.execute(
        "SELECT container_port, host_port, host_ip, protocol FROM published_ports WHERE container = ? ORDER BY 1, 2",
        (container_id,),
    )
    return tuple(Port(*row) for row in rows)


def published(connection: Connection, network: str) -> tuple[PublishedPort, ...]:
    """All ports of a network's containers, with the containers' addresses."""
    rows = connection.execute(
        "SELECT a.address, p.container_port, p.host_port, p.host_ip, p.protocol"
        " FROM published_ports AS p JOIN addresses AS a ON a.container = p.container"
        " WHERE a.network = ? ORDER BY p.protocol, p.host_ip, p.host_port",
        (network,),
    )
    return tuple(PublishedPort(addresses.to_text(address), Port(*port)) for address, *port in rows)


def _bind_when_free(port: Port) -> socket.socket:
    """As `bind_port`; an ordinary user's port may be held still by what led it to a container that has ended."""
    deadline = time.monotonic() + uplink.SECONDS
    while True:
        try:
            if current_house() is not None:
                _try_inside(port)
        except Conflict:
            if time.monotonic() > deadline:
                raise
        else:
            try:
                return bind_port(port)
            except Conflict:
                users = uplink.is_users(port)
                if users and port.protocol == "udp":  # pasta may keep these, and leads them on when they are wanted
                    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                if time.monotonic() > deadline or not users:
                    raise
        time.sleep(0.05)


@in_network
def _try_inside(port: Port) -> None:
    """Raises Conflict for a port that is taken in the house, where the uplink has the host's for a while.

    InvalidValue for an address that the house doesn't have.
    """
    if not port.host_port:
        return
    try:
        bind_port(port).close()
    except InvalidValue as error:
        raise InvalidValue(
            f"an ordinary user can't publish on {port.host_ip}: the user's network has not got that address",
            "leave the address out; 127.0.0.1 and the address of the default route's interface can be named",
        ) from error


def bind_port(port: Port) -> socket.socket:
    """Bind a port of the host without listening: while the socket is open, no other program gets the port.

    Packets never reach it, the firewall leads them to the container before. ``host_port`` 0 binds any free one.

    Raises:
        Conflict: a program on the host has the port.
        InvalidValue: ``host_ip`` is not an address of this host.
        NotPermitted: a port below 1024, and no right to it.
    """
    where = (port.host_ip or "0.0.0.0", port.host_port)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM)
    try:
        try:
            sock.bind(where)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port.protocol == "udp":
                raise
            # What is left of a server's closed connections (TIME_WAIT) is no reason to refuse; a listener is.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {_describe(port)} is in use by a program on this host",
                f"publish another one, or stop that program: `ss -lnp 'sport = :{port.host_port}'` names it",
            ) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidValue(
                f"cannot publish on {port.host_ip}: not an address of this host", "`ip -4 address` lists them"
            ) from error
        if error.errno == errno.EACCES and is_rootless():
            raise NotPermitted(
                f"an ordinary user can't publish port {_describe(port)}",
                "publish one from 1024 on; or have root lower the first that users may have:"
                f" `sysctl net.ipv4.ip_unprivileged_port_start={port.host_port}`",
            ) from error
        raise from_os_error(error, f"publish port {_describe(port)}") from error
    return sock


def _normal(port: Port) -> Port:
    if not (0 < port.container_port < 65536 and 0 <= port.host_port < 65536):
        raise InvalidValue(
            f"invalid port {port.host_port}:{port.container_port}", "ports are 1 to 65535 (host port 0: any free one)"
        )
    host_ip = ANY[0] if port.host_ip in ANY else port.host_ip
    if ":" in host_ip:
        raise Unsupported(f"cannot publish on {host_ip}: ports are published on IPv4", "leave the address out")
    if host_ip:
        try:
            addresses.to_number(host_ip)
        except ValueError as error:
            raise InvalidValue(f"cannot publish on {host_ip!r}: {error}") from None
    return Port(port.container_port, port.host_port, host_ip, port.protocol)


def _check_untaken(connection: Connection, port: Port, container_id: str) -> None:
    """Every address and one address are in each other's way: the same port on both would be two answers."""
    row = connection.execute(
        "SELECT container FROM published_ports WHERE protocol = ? AND host_port = ?"
        " AND (host_ip = ? OR '' IN (host_ip, ?))",
        (port.protocol, port.host_port, port.host_ip, port.host_ip),
    ).fetchone()
    if row is None:
        return
    if row[0] == container_id:
        raise InvalidValue(f"port {_describe(port)} is published twice", "name each host port once")
    raise Conflict(
        f"port {_describe(port)} is already published by container {row[0][:12]}",
        "publish another one, or stop that container",
    )


def _find_free(connection: Connection, port: Port) -> tuple[Port, socket.socket]:
    """Let the kernel choose; its choice may be ours already when that container's monitor holds no socket."""
    refused: list[socket.socket] = []
    try:
        for _ in range(64):
            sock = bind_port(port)
            chosen = Port(port.container_port, sock.getsockname()[1], port.host_ip, port.protocol)
            try:
                _check_untaken(connection, chosen, "")
            except Conflict:
                refused.append(sock)
            else:
                return chosen, sock
    finally:
        for sock in refused:
            sock.close()
    raise Conflict("no free port was found on this host", "name one: HOST_PORT:CONTAINER_PORT")


def _describe(port: Port) -> str:
    return f"{port.host_ip + ':' if port.host_ip else ''}{port.host_port}/{port.protocol}"
