"""nftables through libnftables, in this process: 0.2 ms a call where the ``nft`` program takes 3.

`rule_count` asks the kernel itself: whether all is in place is looked at before every start, and loading the library
takes longer (14 ms with ctypes) than a start may. Sources: libnftables(3), nft(8), ``linux/netfilter/nf_tables.h``.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict, EngineError, NotFound, NotPermitted, Unsupported

if TYPE_CHECKING:
    import ctypes

LIBRARY = "libnftables.so.1"

_NETLINK_NETFILTER, _NFPROTO_IPV4 = 12, 2
_NFT_GETRULE, _NFTA_RULE_TABLE = 10 << 8 | 7, 1
_REQUEST, _DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")

_lock = threading.Lock()
_context: _Context | None = None


def available() -> bool:
    """Whether the library is there and can be loaded."""
    try:
        with _lock:
            _open_context()
    except Unsupported:
        return False
    return True


def run(commands: str) -> str:
    """Carry out nft commands, all of them or none; what they print.

    Raises:
        Unsupported: libnftables is not installed.
        NotPermitted: not root.
        NotFound: a table, chain or element that is not there.
        Conflict: an element that is there, with another value.
        EngineError: nft or the kernel refused otherwise. The messages are nft's own.
    """
    with _lock:
        status, output, error = _open_context().run(commands)
    if status == 0:
        return output
    raise _refusal(error)


def rule_count(table: str) -> int:
    """How many rules the IPv4 table has; 0 too when there is no such table. Needs no library.

    Raises:
        OSError: the kernel has no nftables (EPROTONOSUPPORT, EOPNOTSUPP), or no right.
    """
    name = table.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(name), _NFTA_RULE_TABLE) + name + bytes(-len(name) % 4)
    body = struct.pack("=BBH", _NFPROTO_IPV4, 0, 0) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as netlink:
        netlink.send(_HEADER.pack(_HEADER.size + len(body), _NFT_GETRULE, _REQUEST | _DUMP, 1, 0) + body)
        count = 0
        while True:
            data = netlink.recv(65536)
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind == _NLMSG_DONE:
                    return count
                if kind == _NLMSG_ERROR:
                    number = -int(struct.unpack_from("=i", data, _HEADER.size)[0])
                    raise OSError(number, os.strerror(number), table)
                count += 1
                data = data[length + 3 & ~3 :]


def _refusal(text: str) -> EngineError:
    """One of our errors out of nft's ``Error: reason``, the command, and a line of carets below it."""
    reason, _, rest = text.removeprefix("Error: ").strip().partition("\n")
    if "Operation not permitted" in reason:
        return NotPermitted("cannot change the firewall: operation not permitted", "run as root")
    family: type[EngineError] = EngineError
    if "No such file or directory" in reason:
        family = NotFound
    elif "File exists" in reason:
        family = Conflict
    command = rest.partition("\n")[0].strip()
    hint = f"the command was: {command}" if command else ""
    return family(f"the firewall refused a change: {reason[:1].lower()}{reason[1:]}", hint)


class _Context:
    """libnftables' context: it holds a netlink socket, so it belongs to one process and one network namespace."""

    def __init__(self) -> None:
        import ctypes

        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise Unsupported(
                f"published ports and outgoing traffic need {LIBRARY}, which is not installed",
                "install it (Debian: `apt-get install libnftables1`), or use `--network none` or `host`",
            ) from error
        pointer = ctypes.c_void_p
        library.nft_ctx_new.restype = pointer
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [pointer]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = [pointer]
            getattr(library, name).restype = ctypes.c_char_p
        library.nft_run_cmd_from_buffer.argtypes = [pointer, ctypes.c_char_p]
        self.pid = os.getpid()
        self._library: ctypes.CDLL = library
        self._pointer = pointer(library.nft_ctx_new(0))
        library.nft_ctx_buffer_output(self._pointer)
        library.nft_ctx_buffer_error(self._pointer)

    def run(self, commands: str) -> tuple[int, str, str]:
        """The status (0 is success), the output and the errors. Reading a buffer empties it."""
        status: int = self._library.nft_run_cmd_from_buffer(self._pointer, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._pointer) or b""
        error: bytes = self._library.nft_ctx_get_error_buffer(self._pointer) or b""
        return status, output.decode(errors="replace"), error.decode(errors="replace")


def _open_context() -> _Context:
    """This process's context; a forked child must not share its parent's socket."""
    global _context
    if _context is None or _context.pid != os.getpid():
        _context = _Context()
    return _context
