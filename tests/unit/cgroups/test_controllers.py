"""Values that users give, as each controller takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.cgroups import cpu, cpuset, io, memory, pids
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Resources
from tests.unit.cgroups import trees

MIB = 1 << 20


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (512, 59), (1024, 100), (2048, 174), (262144, 10000)])
def test_shares_become_weights_with_the_default_in_its_place(shares: int, weight: int) -> None:
    assert cpu.weight(shares) == weight


@pytest.mark.parametrize(("cpus", "quota"), [(1.5, 150000), (0.01, 1000), (4, 400000), (0.333, 33300)])
def test_cpus_become_a_quota(cpus: float, quota: int) -> None:
    assert cpu.settings(Resources(cpus=cpus), 2) == [Setting("cpu.max", f"{quota} 100000")]


@pytest.mark.parametrize("cpus", [0, -1, 0.001, float("nan"), float("inf")])
def test_cpus_that_cannot_be(cpus: float) -> None:
    with pytest.raises(InvalidValue, match=r"least is 0\.01"):
        cpu.settings(Resources(cpus=cpus), 2)


@pytest.mark.parametrize("shares", [1, 262145, -5])
def test_shares_that_cannot_be(shares: int) -> None:
    with pytest.raises(InvalidValue, match="2 to 262144"):
        cpu.settings(Resources(cpu_shares=shares), 1)


@pytest.mark.parametrize(
    ("total", "value", "asked"),
    [(None, str(64 * MIB), False), (64 * MIB, "0", True), (96 * MIB, str(32 * MIB), True), (-1, "max", True)],
)
def test_swap_is_what_memory_leaves_of_both_together(total: int | None, value: str, asked: bool) -> None:
    swap = memory.settings(Resources(memory=64 * MIB, memory_swap=total), 2)[1]
    assert swap == Setting("memory.swap.max", value, asked)


def test_v1_takes_both_together_as_they_are() -> None:
    assert memory.settings(Resources(memory=64 * MIB, memory_swap=-1), 1) == [
        Setting("memory.limit_in_bytes", str(64 * MIB)),
        Setting("memory.memsw.limit_in_bytes", "-1"),
    ]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (Resources(memory=MIB), "least is 6 MiB"),
        (Resources(memory=-1), "least is 6 MiB"),
        (Resources(memory_swap=64 * MIB), "needs a limit of memory"),
        (Resources(memory=64 * MIB, memory_swap=32 * MIB), "can't be less"),
    ],
)
def test_memory_that_cannot_be(resources: Resources, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        memory.settings(resources, 1)


def test_pids_of_0_and_minus_1_are_no_limit() -> None:
    assert pids.settings(Resources(pids=0), 2) == pids.settings(Resources(pids=-1), 2) == []
    with pytest.raises(InvalidValue):
        pids.settings(Resources(pids=-2), 2)


@pytest.mark.parametrize(("text", "cpus"), [("0", {0}), ("0-2", {0, 1, 2}), ("0-1,3", {0, 1, 3})])
def test_lists_of_cpus(text: str, cpus: set[int]) -> None:
    assert cpuset.parse(text) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "0-", "-1", "0,,1", "0-99999999", "1;2"])
def test_lists_of_cpus_that_cannot_be(text: str) -> None:
    with pytest.raises(InvalidValue, match="not a list of CPUs"):
        cpuset.settings(Resources(cpuset=text), 2)


def test_what_a_stacked_device_passes_on_is_counted_once(tmp_path: Path) -> None:
    """dm-crypt on a disk: both show the same bytes."""
    trees.fill(tmp_path / "devices/259:0", device="")
    trees.fill(tmp_path / "devices/253:0", dev="")
    stat = "259:0 rbytes=10 wbytes=20 rios=1 wios=2\n253:0 rbytes=10 wbytes=20 rios=1 wios=2\n"
    trees.fill(tmp_path / "v2", io__stat=stat)
    blkio = "259:0 Read 10\n259:0 Write 20\n253:0 Read 10\n253:0 Write 20\nTotal 60\n"
    trees.fill(tmp_path / "v1", blkio__throttle__io_service_bytes_recursive=blkio)
    devices = str(tmp_path / "devices")
    assert io.usage(str(tmp_path / "v2"), 2, devices) == io.IoUsage(10, 20, 1, 2)
    assert io.usage(str(tmp_path / "v1"), 1, devices) == io.IoUsage(10, 20)


def test_counting_is_switched_on_for_real_disks(tmp_path: Path) -> None:
    trees.fill(tmp_path / "vda", dev="254:0\n", device="")
    trees.fill(tmp_path / "dm-0", dev="253:0\n")
    assert io.counting(str(tmp_path)) == (("blkio.throttle.read_bps_device", "254:0 18446744073709551615"),)
    assert io.counting(str(tmp_path / "missing")) == ()
