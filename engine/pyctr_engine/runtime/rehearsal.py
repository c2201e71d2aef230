"""What every monitor does, done before: then all share what the interpreter notes as it runs.

It gives versions to types and dictionaries and specialises instructions; each page on which a monitor writes such a
thing for the first time is one that this monitor has to itself (120 KB of 1.6 MB).
"""

from __future__ import annotations

import os
import socket

from pyctr_engine.runtime import monitor, orders, passing
from pyctr_engine.runtime.orders import Descriptors, Handover, Streams

_TIMES = 9
"""The interpreter specialises a function after eight calls."""


def rehearse() -> None:
    """Be the monitor of nothing, several times; leaves nothing open."""
    for _ in range(_TIMES):
        starter, channel = passing.pair()
        with starter, channel:
            fds = [os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), *os.pipe2(os.O_CLOEXEC), *os.pipe2(os.O_CLOEXEC)]
            fds += _take_orders(starter, channel, fds[0])
            state = {"pid": 0, "state": "created"}
            given = Handover(
                id="",
                name="",
                run_dir="",
                state_dir="",
                events_dir="",
                state=state,
                trace=[],
                tty=False,
                attach=False,
                log=[0, 1, 0],
                restart=["no", 0],
                health=None,
                unified="",
                directories=[],
                oom="",
                monitor_directories=[],
                monitor_attach=[],
                sweeps=False,
                reap=[],
            )
            streams = Streams(-1, fds[1], fds[3])
            given.send(starter, Descriptors(fds[0], fds[0], starter.fileno(), None, streams), [])
            for fd in fds:
                os.close(fd)
            _look_after(channel)


def _take_orders(starter: socket.socket, channel: socket.socket, null: int) -> list[int]:
    orders.CloneOrder(0, [], ["procs"], ["directory"], ["parent"], []).send(starter, null, null)
    message, received = passing.receive(channel)
    orders.clone_order(message)
    orders.answer(channel, orders.BORN, 1, (null,))
    orders.answer(channel, orders.JOINED, None)
    return [*received, *passing.receive(starter)[1], *passing.receive(starter)[1]]


def _look_after(channel: socket.socket) -> None:
    pidfd = os.pidfd_open(os.getpid())
    rehearsed = monitor.Monitor(pidfd, *orders.handover(*passing.receive(channel)))
    rehearsed.loop.call_later(0, rehearsed.settle)
    rehearsed.loop.turn(0)  # its program's output has ended: both pipes are closed by this
    rehearsed.loop.close()
    rehearsed.listener.close()
    os.close(rehearsed.request)
    os.close(pidfd)
