"""Frames survive any cutting; a request survives its journey."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.runtime import protocol

KINDS = st.sampled_from([protocol.STDOUT, protocol.STDERR, protocol.EXIT, protocol.STDIN])


@given(st.lists(st.tuples(KINDS, st.binary(max_size=300)), max_size=8), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[tuple[bytes, bytes]], size: int) -> None:
    stream = b"".join(protocol.frame(kind, payload) for kind, payload in frames)
    reader = protocol.FrameReader()
    found = []
    for start in range(0, len(stream), size):
        found += reader.feed(stream[start : start + size])
    assert found == frames


def test_a_frame_that_is_too_long_is_refused_before_it_is_kept() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        protocol.FrameReader().feed(protocol.HEADER.pack(b"o", protocol.MAX_FRAME + 1))


def test_a_request_survives_its_journey() -> None:
    cgroup = protocol.Cgroup(
        "v2",
        [["/p", [["f", "v"]]]],
        ["/c"],
        [["/c/f", "1"]],
        [],
        [],
        "/c",
        ["/m"],
        ["/m/p"],
        "/c",
        "/o",
        [],
    )
    request = protocol.StartRequest(
        id="ab" * 32, name="n", run_dir="/r", state_dir="/s", events_dir="/e", layers="/l", lowers=["l/A"],
        uppers=["d/1", "upper"], argv=["sh", "-c", "\udcff"], env=["A=b"], cwd="/", user="", hostname="h",
        tty=False, stdin=True,
        ids=[[0, 524288, 65536]], gids=[], groups=["audio"], new=7, joins=[protocol.Join(7, "ab", 7, 8)],
        net="private", domainname="", device_rules=[["c", 1, -1, "r"]], apparmor="", masked=["/x"], protected=["/y"],
        cgroupns=True, clocks=[], umask=0o22, oom_score_adj=None, shm="own",
        network=protocol.Network("br", "v", "10.0.0.2/16", "10.0.0.1", [["tcp", "", 80]], ["add"]), cgroup=cgroup,
        binds=[protocol.Bind("/a", "/b", True)], tmpfs=[protocol.Tmpfs("/t", 4096)],
        devices=[protocol.DeviceNode("/dev/a", "/dev/b")], capabilities=3,
        seccomp="", no_new_privs=False, privileged=False, read_only=True, init=False, shm_size=1, rlimits=[[7, 1, 2]],
        sysctls=[["net.x", "1"]], log=[1, 1, 0], restart=["no", 0], health=None,
        limits=[0, 0, 0], reap=[], attach=True,
    )  # fmt: skip
    assert protocol.StartRequest.decode(request.encode()) == request


def test_a_socket_can_lie_in_a_directory_with_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, protocol.short_path(str(deep)) as directory:
        listener.bind(f"{directory}/s")
    assert (deep / "s").is_socket()
