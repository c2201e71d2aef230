"""What the client of the spawner makes of its answers."""

from __future__ import annotations

import socket

import pytest

from pyctr_engine.containers import spawner
from pyctr_engine.runtime import protocol


@pytest.mark.parametrize(
    ("answer", "id"),
    [
        (protocol.frame(protocol.OFFER, b"ab" * 32), "ab" * 32),
        (protocol.frame(protocol.OFFER), ""),
        (protocol.frame_json(protocol.FAILED, {"step": "prepare"}), ""),
        (protocol.frame(protocol.OFFER, b"ab" * 32)[:3], ""),
        (b"", ""),
    ],
)
def test_an_id_is_what_was_offered_and_nothing_else(answer: bytes, id: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        assert spawner.offered_id(ours) == id
