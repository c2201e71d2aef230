"""A running program and the clients attached to its standard streams, inside a monitor."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable

from pyctr_engine.linux import namespaces, pty
from pyctr_engine.runtime import protocol
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.orders import Streams

_READ_BYTES = 256 << 10
HIGH_WATER = 1 << 20
"""With this much unsent to an attached client, its program's output is read no further, until half of it is gone."""
_INPUT_WATER = 512 << 10


class Client:
    """One connection, with what is still to be sent to it."""

    __slots__ = ("_closing", "_loop", "_on_frame", "_on_gone", "_out", "_reader", "_socket", "_wanted", "program")

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        on_frame: Callable[[Client, bytes, bytes], None],
        on_gone: Callable[[Client], None],
    ) -> None:
        self._loop = loop
        self._socket = connection
        self._on_frame = on_frame
        self._on_gone = on_gone
        self._reader = protocol.FrameReader()
        self._out = bytearray()
        self._closing = False
        self._wanted = select.EPOLLIN
        self.program: Program | None = None
        loop.add(connection.fileno(), self._wanted, self._on_event)

    @property
    def pending(self) -> int:
        """Bytes not yet sent."""
        return len(self._out)

    def send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest when it can."""
        self.send_parts(data)

    def send_parts(self, *parts: bytes) -> None:
        """The same of what need not be put together for it."""
        if self._socket.fileno() < 0:
            return
        sent = 0
        if not self._out:
            try:
                sent = self._socket.sendmsg(parts)
            except BlockingIOError:
                pass
            except OSError:
                self.close()
                return
        for part in parts:
            if sent < len(part):
                self._out += memoryview(part)[sent:] if sent else part
            sent = max(0, sent - len(part))
        self._flush()

    def close_when_sent(self) -> None:
        """Close once everything is sent."""
        self._closing = True
        self._flush()

    def close(self) -> None:
        """Close now."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        self._out.clear()
        if self.program is not None:
            self.program.detach(self)
        self._on_gone(self)

    def listen(self, on: bool) -> None:
        """Whether to read from it: off while its program takes no more input."""
        wanted = self._wanted | select.EPOLLIN if on else self._wanted & ~select.EPOLLIN
        self._want(wanted)

    def _want(self, wanted: int) -> None:
        if wanted != self._wanted and self._socket.fileno() >= 0:
            self._wanted = wanted
            self._loop.change(self._socket.fileno(), wanted)

    def _flush(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            self._want(self._wanted | select.EPOLLOUT)
            return
        except OSError:
            self.close()
            return
        self._want(self._wanted & ~select.EPOLLOUT)
        if self._closing:
            self.close()

    def _on_event(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush()
            if self.program is not None:
                self.program.relieve()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and self._socket.fileno() >= 0:
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for kind, payload in self._reader.feed(data):
                self._on_frame(self, kind, payload)
        except Exception:  # noqa: BLE001 - not our protocol, or a fault of ours: that must not end the container
            sys.excepthook(*sys.exc_info())
            self.close()


def _never() -> bool:
    return False


class Program:
    """A process, its pipes or terminal, what is done with its output, and who watches."""

    def __init__(
        self,
        loop: Loop,
        pid: int,
        pidfd: int,
        streams: Streams,
        tty: bool,
        on_end: Callable[[Program], None],
        on_output: Callable[[bytes, bytes], None],
        is_full: Callable[[], bool] = _never,
    ) -> None:
        """``on_output`` is told each piece with its frame kind; while ``is_full`` says so, no more is read."""
        self.pid = pid
        self.code = self.signal = 0
        self.began = time.monotonic()
        self.clients: list[Client] = []
        self._loop = loop
        self._pidfd = pidfd
        self._tty = tty
        self._on_end = on_end
        self._on_output = on_output
        self._is_full = is_full
        self._into = streams.into
        self._input = bytearray()
        self._input_ends = False
        self._owner: Client | None = None
        self._ended = False
        self._outputs = {streams.out: protocol.STDOUT}
        if streams.err >= 0:
            self._outputs[streams.err] = protocol.STDERR
        self._paused = False
        for fd in {streams.into, streams.out, streams.err} - {-1}:
            os.set_blocking(fd, False)

    def begin(self) -> None:
        """Start reading what it writes, and waiting for its end."""
        self._listen()
        if self._into >= 0 and self._into not in self._outputs:
            self._loop.add(self._into, 0, self._on_input)
        self._loop.add(self._pidfd, select.EPOLLIN, lambda _: self.wait_for_end(os.WNOHANG))

    def _listen(self) -> None:
        for fd in self._outputs:
            self._loop.add(fd, select.EPOLLIN, functools.partial(self._on_ready, fd))

    # -- clients ------------------------------------------------------------------------------------------------

    def attach(self, client: Client, owns_input: bool = False) -> None:
        """Let a client see what it writes from now on, and write to it; ``owns_input``: that ends with the client."""
        client.program = self
        self.clients.append(client)
        if owns_input:
            self._owner = client

    def detach(self, client: Client) -> None:
        """Let go of a client."""
        if client in self.clients:
            self.clients.remove(client)
        if client is self._owner and not self._ended:
            self._input_ends = True
            self._write_input()
        self.relieve()

    def on_frame(self, client: Client, kind: bytes, payload: bytes) -> None:
        """Input, its end, or a new size."""
        if kind == protocol.STDIN and self._into >= 0:
            self._take_input(payload)
            if len(self._input) > _INPUT_WATER:
                client.listen(False)
            self._write_input()
        elif kind == protocol.EOF:
            self._input_ends = True
            self._write_input()
        elif kind == protocol.RESIZE and self._tty and self._into >= 0:
            size = json.loads(payload)
            pty.set_size(self._into, int(size["rows"]), int(size["columns"]))

    def relieve(self) -> None:
        """Go on reading when neither a client nor the log lags behind any more."""
        if (
            self._paused
            and not self._ended
            and not self._is_full()
            and all(client.pending < HIGH_WATER // 2 for client in self.clients)
        ):
            self._paused = False
            self._listen()
            self._update_interest()

    # -- streams ------------------------------------------------------------------------------------------------

    def _on_ready(self, fd: int, events: int) -> None:
        if events & select.EPOLLOUT:
            self._write_input()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not self._paused:
            self._read_output(fd)

    def _read_output(self, fd: int) -> bool:
        """Take one piece of output; False when there is none now, or never will be."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last slave of the terminal was closed
            data = b""
        if not data:
            self._close_output(fd)
            return False
        kind = self._outputs[fd]
        self._on_output(kind, data)
        if self.clients:
            header = protocol.HEADER.pack(kind, len(data))
            for client in list(self.clients):
                client.send_parts(header, data)
        if not self._ended and (self._is_full() or any(client.pending > HIGH_WATER for client in self.clients)):
            self._paused = True
            for each in self._outputs:  # altogether: epoll tells of hang-ups whether asked or not
                self._loop.remove(each)
        return True

    def _close_output(self, fd: int) -> None:
        self._loop.remove(fd)
        del self._outputs[fd]
        os.close(fd)
        if fd == self._into:
            self._into = -1

    def _on_input(self, events: int) -> None:
        if events & select.EPOLLERR:
            self._close_input()
        else:
            self._write_input()

    def _take_input(self, data: bytes) -> None:
        """Write at once what goes, and keep the rest for later."""
        written = 0
        if not self._input:
            with contextlib.suppress(OSError):  # that it is full, or closed, `_write_input` learns as well
                written = os.write(self._into, data)
        if written < len(data):
            self._input += memoryview(data)[written:]

    def _write_input(self) -> None:
        if self._into < 0:
            return
        try:
            while self._input:
                with memoryview(self._input) as view:
                    written = os.write(self._into, view)
                del self._input[:written]
        except BlockingIOError:
            pass
        except OSError:
            self._close_input()
            return
        if len(self._input) < _INPUT_WATER // 2:
            for client in self.clients:
                client.listen(True)
        if self._input_ends and not self._input and not self._tty:
            self._close_input()
            return
        self._update_interest()

    def _close_input(self) -> None:
        self._input.clear()
        if self._into >= 0 and self._into not in self._outputs:
            self._loop.remove(self._into)
            os.close(self._into)
            self._into = -1

    def _update_interest(self) -> None:
        writing = select.EPOLLOUT if self._input else 0
        for fd in () if self._paused else self._outputs:
            self._loop.change(fd, select.EPOLLIN | (writing if fd == self._into else 0))
        if self._into >= 0 and self._into not in self._outputs:
            self._loop.change(self._into, writing)

    # -- the end ------------------------------------------------------------------------------------------------

    def wait_for_end(self, flags: int = 0) -> None:
        """Reap it (it has ended, or is about to), take what it still wrote, and tell whoever made it."""
        if self._ended:
            return
        pid, status = os.waitpid(self.pid, flags)
        if not pid:
            return
        self._ended = True
        self.code = namespaces.exit_code(status)
        self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        self._loop.remove(self._pidfd)
        os.close(self._pidfd)
        for fd in list(self._outputs):
            while self._read_output(fd):
                pass
        for fd in list(self._outputs):  # somebody in the background may hold them open: nobody waits for that
            self._close_output(fd)
        self._close_input()
        self._on_end(self)

    def tell_end(self) -> None:
        """Tell the clients how it ended, and part."""
        for client in list(self.clients):
            client.send(protocol.frame_json(protocol.EXIT, {"code": self.code}))
            client.close_when_sent()
