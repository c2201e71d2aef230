"""Values that users give, as each controller takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.cgroups import cpu, cpuset, devices, hugetlb, io, memory, pids
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.linux.kept import Descriptors, File
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
    for version, ops in ((2, [1, 2]), (1, [0, 0])):
        meter = io.Meter(
            lambda path: File(path, Descriptors()), str(tmp_path / f"v{version}"), version, str(tmp_path / "devices")
        )
        meter.read()
        assert meter.values == [10, 20, *ops]
        assert [(device.device, device.read_bytes) for device in meter.devices] == [("259:0", 10), ("253:0", 10)]


def test_counting_is_switched_on_for_real_disks(tmp_path: Path) -> None:
    trees.fill(tmp_path / "vda", dev="254:0\n", device="")
    trees.fill(tmp_path / "dm-0", dev="253:0\n")
    assert io.counting(str(tmp_path)) == (("blkio.throttle.read_bps_device", "254:0 18446744073709551615"),)
    assert io.counting(str(tmp_path / "missing")) == ()


def test_quota_period_and_burst() -> None:
    asked = Resources(cpu_quota=50_000, cpu_period=200_000, cpu_burst=10_000)
    assert cpu.settings(asked, 2) == [Setting("cpu.max", "50000 200000"), Setting("cpu.max.burst", "10000")]
    assert cpu.settings(asked, 1) == [
        Setting("cpu.cfs_period_us", "200000"),
        Setting("cpu.cfs_quota_us", "50000"),
        Setting("cpu.cfs_burst_us", "10000"),
    ]
    assert cpu.lifted(asked, Resources(), 2) == [Setting("cpu.max.burst", "0"), Setting("cpu.max", "max 100000")]
    assert cpu.lifted(asked, Resources(cpus=1.0), 1) == [Setting("cpu.cfs_burst_us", "0")]
    assert asked.cpu_limit == 0.25


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Resources(cpus=1.0, cpu_quota=5000), "exclude each other"),
        (Resources(cpus=1.0, cpu_period=5000), "exclude each other"),
        (Resources(cpu_period=5000), "nothing without a quota"),
        (Resources(cpu_quota=999), "the least is 1000"),
        (Resources(cpu_quota=5000, cpu_period=999), "1000 to 1000000"),
        (Resources(cpu_burst=5), "saved from a quota"),
        (Resources(cpu_quota=5000, cpu_burst=5001), "at most as much"),
    ],
)
def test_cpu_time_that_cannot_be(asked: Resources, message: str) -> None:
    for version in (1, 2):
        with pytest.raises(InvalidValue, match=message):
            cpu.settings(asked, version)


@pytest.mark.parametrize(
    ("asked", "version", "message"),
    [
        (Resources(memory_swappiness=1), 2, "cgroup v2 has none"),
        (Resources(memory=64 * MIB, oom_kill_disable=True), 2, "no such switch"),
        (Resources(memory_high=64 * MIB), 1, "memory.high of cgroup v2"),
        (Resources(oom_group=True), 1, "memory.oom.group of cgroup v2"),
    ],
)
def test_what_only_the_other_version_has_is_refused(asked: Resources, version: int, message: str) -> None:
    with pytest.raises(Unsupported, match=message) as caught:
        memory.settings(asked, version)
    assert caught.value.hint
    memory.settings(asked, 3 - version)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Resources(memory_high=5), "least is 6 MiB"),
        (Resources(memory_swappiness=101), "0 to 100"),
        (Resources(oom_kill_disable=True), "without a limit of memory"),
    ],
)
def test_more_memory_that_cannot_be(asked: Resources, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        memory.settings(asked, 1)


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two disks, whatever this machine has."""
    monkeypatch.setattr(io, "device_number", {"/dev/a": "8:0", "/dev/again": "8:0", "/dev/b": "8:16"}.__getitem__)


@pytest.mark.usefixtures("disks")
def test_limits_of_disks() -> None:
    asked = Resources(
        blkio_weight=1000,
        blkio_weight_device=(("/dev/b", 10),),
        device_read_bps=(("/dev/a", 1), ("/dev/b", 2)),
        device_write_iops=(("/dev/a", 3),),
    )
    assert [(s.file, s.value, s.either) for s in io.settings(asked, 2)] == [
        ("io.bfq.weight", "1000", "weight"),
        ("io.weight", "10000", "weight"),
        ("io.bfq.weight", "8:16 10", "weight of 8:16"),
        ("io.weight", "8:16 1", "weight of 8:16"),
        ("io.max", "8:0 rbps=1", ""),
        ("io.max", "8:16 rbps=2", ""),
        ("io.max", "8:0 wiops=3", ""),
    ]
    assert [(s.file, s.value) for s in io.settings(asked, 1)][-4:] == [
        ("blkio.weight_device", "8:16 10"),
        ("blkio.throttle.read_bps_device", "8:0 1"),
        ("blkio.throttle.read_bps_device", "8:16 2"),
        ("blkio.throttle.write_iops_device", "8:0 3"),
    ]
    fewer = Resources(device_read_bps=(("/dev/again", 5),))
    assert [(s.file, s.value) for s in io.lifted(asked, fewer, 2)] == [
        ("io.bfq.weight", "100"),
        ("io.weight", "100"),
        ("io.bfq.weight", "8:16 default"),
        ("io.weight", "8:16 default"),
        ("io.max", "8:16 rbps=max"),
        ("io.max", "8:0 wiops=max"),
    ]
    assert [(s.file, s.value) for s in io.lifted(asked, fewer, 1)][-1] == (
        "blkio.throttle.write_iops_device",
        "8:0 0",
    )


@pytest.mark.usefixtures("disks")
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Resources(blkio_weight=9), "10 to 1000"),
        (Resources(blkio_weight_device=(("/dev/a", 1001),)), "10 to 1000"),
        (Resources(device_read_bps=(("/dev/a", 0),)), "least is 1 a second"),
        (Resources(device_read_bps=(("/dev/a", 1), ("/dev/again", 2))), "/dev/a and /dev/again are the same device"),
    ],
)
def test_limits_of_disks_that_cannot_be(asked: Resources, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        io.settings(asked, 2)


def test_devices_are_whole_disks(tmp_path: Path) -> None:
    for path, message in ((str(tmp_path / "none"), "no such file"), ("/dev/null", "not a block device")):
        with pytest.raises(InvalidValue, match=message):
            io.device_number(path)


@pytest.mark.parametrize(("weight", "cost"), [(10, 1), (100, 100), (1000, 10000), (55, 50), (550, 5050)])
def test_weights_on_the_other_scale_keep_the_usual_one(weight: int, cost: int) -> None:
    assert io.iocost_weight(weight) == cost


def test_huge_pages(tmp_path: Path) -> None:
    for name in ("hugepages-2048kB", "hugepages-1048576kB", "hugepages-64kB"):
        (tmp_path / name).mkdir()
    assert hugetlb.sizes(str(tmp_path)) == ("64KB", "2MB", "1GB")
    asked = Resources(hugetlb=(("2MB", 64 * MIB), ("1GB", 0)))
    found = hugetlb.settings(asked, 2, str(tmp_path))
    assert found == [Setting("hugetlb.2MB.max", str(64 * MIB)), Setting("hugetlb.1GB.max", "0")]
    assert hugetlb.settings(asked, 1, str(tmp_path))[1] == Setting("hugetlb.1GB.limit_in_bytes", "0")
    assert hugetlb.lifted(asked, Resources(hugetlb=(("1GB", 5),)), 2) == [Setting("hugetlb.2MB.max", "max")]
    with pytest.raises(Unsupported, match="no huge pages of 4MB"):
        hugetlb.settings(Resources(hugetlb=(("4MB", 1),)), 2, str(tmp_path))
    for wrong in ((("2MB", -1),), (("2MB", 1), ("2MB", 2))):
        with pytest.raises(InvalidValue):
            hugetlb.settings(Resources(hugetlb=wrong), 2, str(tmp_path))


def test_memory_nodes() -> None:
    assert cpuset.settings(Resources(cpuset_mems="0"), 2) == [Setting("cpuset.mems", "0")]
    assert cpuset.lifted(Resources(cpuset_mems="0"), Resources(), 2) == [Setting("cpuset.mems", "\n")]
    assert 0 in cpuset.nodes()
    with pytest.raises(InvalidValue, match="not a list of memory nodes"):
        cpuset.settings(Resources(cpuset_mems="x"), 1)


def test_rules_on_devices_begin_with_none_and_never_allow_all_at_once() -> None:
    rules = [["a", -1, -1, "m"], ["c", 1, 3, "rwm"], ["b", 8, -1, "r"]]
    assert devices.settings(rules) == [
        ("devices.deny", "a"),
        ("devices.allow", "b *:* m"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "c 1:3 rwm"),
        ("devices.allow", "b 8:* r"),
    ]
