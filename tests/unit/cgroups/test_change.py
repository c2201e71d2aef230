"""What is written to undo a write, by what the file said before."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.cgroups import change
from pyctr_engine.errors import StartError, Unsupported

IO_MAX = "8:0 rbps=100 wbps=max riops=max wiops=7\n8:16 rbps=5 wbps=max riops=max wiops=max"


@pytest.mark.parametrize(
    ("file", "value", "held", "former"),
    [
        ("memory.max", "5", "max", "max"),
        ("cpu.max", "5000 10000", "max 100000", "max 100000"),
        ("cpuset.cpus", "0", "", "\n"),
        ("io.max", "8:0 rbps=9", IO_MAX, "8:0 rbps=100"),
        ("io.max", "8:0 wbps=9", IO_MAX, "8:0 wbps=max"),
        ("io.max", "8:32 wiops=9", IO_MAX, "8:32 wiops=max"),
        ("io.weight", "300", "default 100\n8:0 200", "100"),
        ("io.weight", "8:0 300", "default 100\n8:0 200", "8:0 200"),
        ("io.weight", "8:16 300", "default 100\n8:0 200", "8:16 default"),
        ("io.bfq.weight", "300", "default 100", "100"),
        ("blkio.bfq.weight", "300", "100", "100"),
        ("blkio.bfq.weight_device", "8:0 300", "default 100", "8:0 default"),
        ("blkio.throttle.read_bps_device", "8:0 300", "8:16 1\n8:0 2", "8:0 2"),
        ("blkio.throttle.read_bps_device", "8:0 300", "", "8:0 0"),
        ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3", "0"),
    ],
)
def test_the_former_value(file: str, value: str, held: str, former: str) -> None:
    assert change.former(f"/sys/fs/cgroup/blkio/x/{file}", value, held) == former


def test_none_is_written_when_one_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
    writes = [(str(tmp_path / "a"), "22"), (str(tmp_path / "none"), "2"), (str(tmp_path / "b"), "33")]
    with pytest.raises(StartError, match="cannot write '2'"):
        change.change(writes)
    assert [(tmp_path / name).read_text()[:1] for name in ("a", "b")] == ["1", "1"]
    change.change(writes[:1], writes[1:2], [[writes[1], writes[2]]])
    assert (tmp_path / "b").read_text() == "33"
    with pytest.raises(Unsupported, match="this kernel has neither none nor none"):
        change.change([], [], [[writes[1], writes[1]]])
