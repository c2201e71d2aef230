"""Messages with descriptors, between a monitor and its children, over SEQPACKET socket pairs."""

from __future__ import annotations

import array
import contextlib
import socket
from collections.abc import Sequence

_FDS_PER_MESSAGE = 200  # the kernel takes 253
_MORE = b"+"
_MAX_MESSAGE = 1 << 18


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: bytes, fds: Sequence[int] = ()) -> None:
    """Send a message and any number of descriptors. Raises OSError."""
    left = list(fds)
    while len(left) > _FDS_PER_MESSAGE:
        _send(channel, _MORE, left[:_FDS_PER_MESSAGE])
        del left[:_FDS_PER_MESSAGE]
    _send(channel, message, left)


def _send(channel: socket.socket, message: bytes, fds: list[int]) -> None:
    if fds:
        channel.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    else:
        channel.send(message)


def tell(channel: socket.socket, message: bytes, fds: Sequence[int] = ()) -> None:
    """Send to one who may have gone; if so, that is told, with the reason, by what it sent before."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        send(channel, message, fds)


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """The next message with its descriptors; ``(b"", [])`` at the end.

    A peer that ends with our messages unread makes the next call fail with ECONNRESET, once, although what it
    sent before is still there to be read. Source: unix(7).
    """
    fds = array.array("i")
    while True:
        with contextlib.suppress(ConnectionResetError):
            message, ancillary, _, _ = channel.recvmsg(
                _MAX_MESSAGE, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC
            )
            for _, _, data in ancillary:
                fds.frombytes(data[: len(data) - len(data) % 4])
            if message != _MORE:
                return message, list(fds)
