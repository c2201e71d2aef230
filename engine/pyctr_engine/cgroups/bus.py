"""Method calls to systemd over D-Bus, as few as are needed: one connection, one call at a time, no signals.

By hand, because ``busctl`` takes 30 ms and answers by exit code, and because a process in a user namespace of its own
looks like root to itself and not to the bus: here the kernel says who calls, not the caller.

Source: the D-Bus specification ("Message Protocol", "Authentication Protocol"); org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

Manager = Literal["system", "user"]
Value = str | int | bool | Sequence[int] | Sequence[str]

_RETURN, _ERROR = 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_TIMEOUT = 20.0
"""Seconds for an answer: systemd reloads its units in one go, and answers nobody meanwhile."""
_LARGEST = 1 << 20


class Refused(Exception):
    """systemd (or the bus) answered with an error; ``name`` is D-Bus's for it, its text is the message."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Bus:
    """A connection to a service manager: the host's, or an ordinary user's. Raises OSError, Refused."""

    def __init__(self, manager: Manager, uid: int) -> None:
        """``uid`` is the user's, as the host counts; of no interest to the host's manager."""
        self._serial = 0
        self._buffer = b""
        if manager == "system":
            addresses = (("/run/dbus/system_bus_socket", True), ("/run/systemd/private", False))
        else:
            addresses = ((f"/run/user/{uid}/bus", True), (f"/run/user/{uid}/systemd/private", False))
        for address, is_bus in addresses:  # the second needs no bus: minimal installations have none
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(_TIMEOUT)
                self._socket.connect(address)
                self._authenticate()
                if is_bus:
                    self._call(
                        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", b""
                    )
            except (FileNotFoundError, ConnectionRefusedError):
                self.close()
                if not is_bus:
                    raise
            except BaseException:
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def start_scope(self, name: str, pid: int, properties: Sequence[tuple[str, str, Value]]) -> None:
        """Ask for a transient scope with a process in it; returns before it is made.

        ``properties`` are (name, signature, value); signatures are s, b, t, as.
        """
        body = _Body()
        body.string(name)
        body.string("fail")
        with body.array(8):
            for property, signature, value in (*properties, ("PIDs", "au", [pid])):
                body.property(property, signature, value)
        with body.array(8):  # other units to be made along
            pass
        self._manager("StartTransientUnit", "ssa(sv)a(sa(sv))", body.data)

    def attach(self, name: str, below: str, pid: int) -> None:
        """Have a process moved into a unit's cgroup ``below`` (an absolute path within it, which is there)."""
        body = _Body()
        body.string(name)
        body.string(below)
        with body.array(4):
            body.number("I", pid)
        self._manager("AttachProcessesToUnit", "ssau", body.data)

    def _manager(self, member: str, signature: str, body: bytes) -> None:
        name = "org.freedesktop.systemd1"
        self._call(name, "/org/freedesktop/systemd1", f"{name}.Manager", member, signature, body)

    def _authenticate(self) -> None:
        """As whom the kernel says: an identity that we claim would be a wrong one in a user namespace."""
        self._socket.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
        seen = b""
        while b"OK " not in seen or not seen.endswith(b"\r\n"):
            seen += (piece := self._socket.recv(1))  # not a byte of what follows
            if not piece or b"REJECTED" in seen or b"ERROR" in seen:
                raise Refused("org.freedesktop.DBus.Error.AuthFailed", "it does not let this user in")

    def _call(self, to: str, path: str, interface: str, member: str, signature: str, body: bytes) -> None:
        self._serial += 1
        fields = _Body()
        for code, kind, text in (
            (_PATH, "o", path),
            (_INTERFACE, "s", interface),
            (_MEMBER, "s", member),
            (_DESTINATION, "s", to),
            (_SIGNATURE, "g", signature),
        ):
            if text:
                fields.align(8)
                fields.data += bytes([code])
                fields.signature(kind)
                fields.signature(text) if kind == "g" else fields.string(text)
        head = struct.pack("<BBBBIII", ord("l"), 1, 0, 1, len(body), self._serial, len(fields.data)) + fields.data
        self._socket.sendall(head + bytes(-len(head) % 8) + body)
        while not self._answered():
            pass

    def _answered(self) -> bool:
        """Read one message; whether it is the answer to the last call. Raises Refused when that is an error."""
        start = self._read(16)
        order = "<" if start[:1] == b"l" else ">"
        length, _, fields = struct.unpack(f"{order}III", start[4:16])
        if length > _LARGEST or fields > _LARGEST:
            raise OSError("a message that is too long")
        head = self._read(fields + -fields % 8)[:fields]
        body = self._read(length)
        found = _header(head, order)
        if start[1] not in (_RETURN, _ERROR) or found.get(_REPLY_SERIAL) != self._serial:
            return False
        if start[1] == _ERROR:
            text = ""
            if str(found.get(_SIGNATURE, "")).startswith("s"):
                size = struct.unpack_from(f"{order}I", body)[0]
                text = body[4 : 4 + size].decode(errors="replace")
            raise Refused(str(found.get(_ERROR_NAME, "")), text)
        return True

    def _read(self, length: int) -> bytes:
        while len(self._buffer) < length:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError("the connection was closed")
            self._buffer += piece
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return data


class _Body:
    """Marshalled values, little-endian, each aligned to its size from the beginning."""

    def __init__(self) -> None:
        self.data = b""

    def align(self, to: int) -> None:
        self.data += bytes(-len(self.data) % to)

    def number(self, kind: str, value: int) -> None:
        self.align(struct.calcsize(kind))
        self.data += struct.pack(f"<{kind}", value)

    def string(self, text: str) -> None:
        encoded = text.encode()
        self.number("I", len(encoded))
        self.data += encoded + b"\0"

    def signature(self, text: str) -> None:
        self.data += bytes([len(text)]) + text.encode() + b"\0"

    @contextlib.contextmanager
    def array(self, alignment: int) -> Iterator[None]:
        """What is appended inside is its elements; its length does not count the padding before the first."""
        self.number("I", 0)
        at = len(self.data) - 4
        self.align(alignment)
        start = len(self.data)
        yield
        self.data = self.data[:at] + struct.pack("<I", len(self.data) - start) + self.data[at + 4 :]

    def property(self, name: str, signature: str, value: Value) -> None:
        """A name and a variant."""
        self.align(8)
        self.string(name)
        self.signature(signature)
        if isinstance(value, str):
            self.string(value)
        elif isinstance(value, int):
            self.number("Q" if signature == "t" else "I", value)
        else:
            with self.array(4):
                for one in value:
                    self.string(one) if isinstance(one, str) else self.number("I", one)


def _header(data: bytes, order: str) -> dict[int, str | int]:
    """Header fields by their code; a type that no known field has ends the reading."""
    found: dict[int, str | int] = {}
    at = 0
    while at < len(data):
        at += -at % 8
        code, kind = data[at], data[at + 2 : at + 3]
        at += 4
        if kind == b"g":
            size = data[at]
            found[code] = data[at + 1 : at + 1 + size].decode()
            at += size + 2
            continue
        at += -at % 4
        number = struct.unpack_from(f"{order}I", data, at)[0]
        at += 4
        if kind == b"u":
            found[code] = number
        elif kind in (b"s", b"o"):
            found[code] = data[at : at + number].decode()
            at += number + 1
        else:
            break
    return found
