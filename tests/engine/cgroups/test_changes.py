"""Every limit is taken by the kernel, at the start and later; what is refused changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from pyctr_engine.cgroups import change, control, cpuset, files, hugetlb, io
from pyctr_engine.cgroups.layout import detect
from pyctr_engine.errors import Conflict, StartError, Unsupported
from pyctr_engine.model.spec import Resources
from tests.engine.cgroups.conftest import MIB, PARENT, Cgroup, Maker, first_line
from tests.hogs import disk

pytestmark = pytest.mark.root

LAYOUT = detect()
CPUS = sorted(os.sched_getaffinity(0))


DISK = disk()
SIZE = next(iter(hugetlb.sizes()), "")


def cases() -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[int, tuple[str, str, str, str]]]]:
    """Controller; a limit and another; by version the file, what it says of the two, and what without a limit."""
    yield (
        "cpu",
        {"cpu_shares": 512},
        {"cpu_shares": 2048},
        {
            1: ("cpu.shares", "512", "2048", "1024"),
            2: ("cpu.weight", "59", "174", "100"),
        },
    )
    yield (
        "cpu",
        {"cpus": 0.5},
        {"cpus": 1.5},
        {
            1: ("cpu.cfs_quota_us", "50000", "150000", "-1"),
            2: ("cpu.max", "50000 100000", "150000 100000", "max 100000"),
        },
    )
    yield (
        "cpu",
        {"cpu_quota": 20_000, "cpu_period": 50_000},
        {"cpu_quota": 5_000, "cpu_period": 10_000},
        {
            1: ("cpu.cfs_period_us", "50000", "10000", "100000"),
            2: ("cpu.max", "20000 50000", "5000 10000", "max 100000"),
        },
    )
    yield (
        "cpu",
        {"cpus": 0.5, "cpu_burst": 50_000},
        {"cpus": 0.1, "cpu_burst": 2_000},
        {
            1: ("cpu.cfs_burst_us", "50000", "2000", "0"),
            2: ("cpu.max.burst", "50000", "2000", "0"),
        },
    )
    yield (
        "cpuset",
        {"cpuset": str(CPUS[0])},
        {"cpuset": str(CPUS[-1])},
        {
            1: ("cpuset.cpus", str(CPUS[0]), str(CPUS[-1]), files.read("/sys/devices/system/cpu/present").strip()),
            2: ("cpuset.cpus", str(CPUS[0]), str(CPUS[-1]), ""),
        },
    )
    node = str(min(cpuset.nodes()))
    yield (
        "cpuset",
        {"cpuset_mems": node},
        {"cpuset_mems": node, "cpuset": str(CPUS[0])},
        {
            1: ("cpuset.mems", node, node, node),
            2: ("cpuset.mems", node, node, ""),
        },
    )
    yield (
        "memory",
        {"memory": 64 * MIB},
        {"memory": 32 * MIB},
        {
            1: ("memory.limit_in_bytes", str(64 * MIB), str(32 * MIB), str(2**63 - 4096)),
            2: ("memory.max", str(64 * MIB), str(32 * MIB), "max"),
        },
    )
    yield (
        "memory",
        {"memory_reservation": 64 * MIB},
        {"memory_reservation": 32 * MIB},
        {
            1: ("memory.soft_limit_in_bytes", str(64 * MIB), str(32 * MIB), str(2**63 - 4096)),
            2: ("memory.low", str(64 * MIB), str(32 * MIB), "0"),
        },
    )
    yield (
        "memory",
        {"memory_high": 64 * MIB},
        {"memory_high": 32 * MIB},
        {
            2: ("memory.high", str(64 * MIB), str(32 * MIB), "max"),
        },
    )
    usual = files.read("/proc/sys/vm/swappiness").strip()
    yield (
        "memory",
        {"memory_swappiness": 0},
        {"memory_swappiness": 100},
        {
            1: ("memory.swappiness", "0", "100", usual),
        },
    )
    yield "memory", {"oom_group": True}, {"oom_group": True}, {2: ("memory.oom.group", "1", "1", "0")}
    limited = {"memory": 64 * MIB}
    yield (
        "memory",
        {**limited, "oom_kill_disable": True},
        limited,
        {
            1: ("memory.oom_control", "oom_kill_disable 1", "oom_kill_disable 0", "oom_kill_disable 0"),
        },
    )
    yield "pids", {"pids": 50}, {"pids": 20}, {1: ("pids.max", "50", "20", "max"), 2: ("pids.max", "50", "20", "max")}
    if SIZE:
        yield (
            "hugetlb",
            {"hugetlb": ((SIZE, 64 * MIB),)},
            {"hugetlb": ((SIZE, 0),)},
            {
                1: (f"hugetlb.{SIZE}.limit_in_bytes", str(64 * MIB), "0", str(2**63 - 2 * MIB)),
                2: (f"hugetlb.{SIZE}.max", str(64 * MIB), "0", "max"),
            },
        )
    if DISK:
        number = io.device_number(DISK)
        for name, key in (
            ("read_bps", "rbps"),
            ("write_bps", "wbps"),
            ("read_iops", "riops"),
            ("write_iops", "wiops"),
        ):
            without = dict.fromkeys(("rbps", "wbps", "riops", "wiops"), "max")

            def line(value: int, key: str = key, without: dict[str, str] = without) -> str:
                pairs = {**without, key: str(value)}
                return f"{number} " + " ".join(f"{each}={pairs[each]}" for each in pairs)

            yield (
                "io",
                {f"device_{name}": ((DISK, 5000),)},
                {f"device_{name}": ((DISK, 7000),)},
                {
                    1: (f"blkio.throttle.{name}_device", f"{number} 5000", f"{number} 7000", ""),
                    2: ("io.max", line(5000), line(7000), ""),
                },
            )


CASES = list(cases())


def says(group: Cgroup, controller: str, file: str) -> str:
    """A file's first line."""
    _, directory = group.layout.directory(controller, PARENT, group.id)
    return files.read(f"{directory}/{file}").strip().partition("\n")[0]


def turn(group: Cgroup, after: Resources) -> None:
    """Change its limits, as an update does."""
    control.prepare(group.layout.plan(PARENT, group.id, after).parents, ())
    change.change(*group.layout.changes(PARENT, group.id, group.resources, after))
    group.resources = after


@pytest.mark.parametrize(("controller", "first", "second", "files"), CASES, ids=lambda case: str(case)[:60])
def test_every_limit_is_taken_changed_and_lifted(
    cgroup: Maker, controller: str, first: dict[str, Any], second: dict[str, Any], files: dict[int, tuple[str, ...]]
) -> None:
    version, _ = LAYOUT.home(controller)
    if version not in files:
        with pytest.raises(Unsupported):
            LAYOUT.plan(PARENT, "0" * 64, Resources(**first))
        return
    file, one, other, none = files[version]
    group = cgroup(**first)
    assert says(group, controller, file) == one
    turn(group, Resources(**second))
    assert says(group, controller, file) == other
    turn(group, Resources())
    assert says(group, controller, file) == none


def test_what_is_refused_changes_nothing_of_all_limits(cgroup: Maker) -> None:
    """All limits at once are to become others, and one of them can't be."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    checked = []
    for controller, first, second, by_version in CASES:
        version, _ = LAYOUT.home(controller)
        if version in by_version and not first.keys() & ({"cpu_quota"} | before.keys() - {"memory", "cpus"}):
            before |= first
            after |= second if second.keys() == first.keys() else {}
            checked.append((controller, by_version[version][0]))
    group = cgroup(**before)
    held = [says(group, *each) for each in checked]
    settings, defaults, either = LAYOUT.changes(PARENT, group.id, Resources(**before), Resources(**after))
    pids = next(path for path, _ in settings if path.endswith("pids.max"))
    assert len(settings) > 8
    with pytest.raises(StartError, match="cannot write 'many'"):
        change.change([*settings, (pids, "many")], defaults, either)
    assert [says(group, *each) for each in checked] == held
    with pytest.raises(StartError, match="cannot write 'many'"):
        change.change([(pids, "many"), *reversed(settings)], defaults, either)
    assert [says(group, *each) for each in checked] == held
    # the same away: from all limits to none
    lifts = LAYOUT.changes(PARENT, group.id, Resources(**before), Resources(cpuset=before["cpuset"]))
    with pytest.raises(StartError, match="cannot write 'many'"):
        change.change([*lifts[0], (pids, "many")], *lifts[1:])
    assert [says(group, *each) for each in checked] == held
    # and from none to all
    bare = cgroup(cpuset=before["cpuset"], hugetlb=before.get("hugetlb", ()))
    none = [says(bare, *each) for each in checked]
    given = LAYOUT.changes(PARENT, bare.id, bare.resources, Resources(**before))
    with pytest.raises(StartError, match="cannot write 'many'"):
        change.change([*given[0], (pids.replace(group.id, bare.id), "many")], *given[1:])
    assert [says(bare, *each) for each in checked] == none


def test_a_weight_is_kept_where_a_scheduler_heeds_one(cgroup: Maker) -> None:
    """The file that this kernel has is written and restored; without any the weight is refused."""
    version, _ = LAYOUT.home("io")
    group = cgroup()
    _, directory = LAYOUT.directory("io", PARENT, group.id)
    names = ("io.bfq.weight", "io.weight") if version == 2 else ("blkio.bfq.weight", "blkio.weight")
    there = [name for name in names if os.path.exists(f"{directory}/{name}")]
    if not there:
        with pytest.raises(Unsupported, match="this kernel has neither"):
            turn(group, Resources(blkio_weight=300))
        return
    before = [says(group, "io", name) for name in there]
    turn(group, Resources(blkio_weight=300))
    now = [says(group, "io", name).split()[-1] for name in there]
    assert now == ["300" if "bfq" in name or version == 1 else "2300" for name in there]
    settings, defaults, either = LAYOUT.changes(PARENT, group.id, group.resources, Resources(blkio_weight=500))
    nothing = ((f"{directory}/no.such.file", "1"),)
    with pytest.raises(Unsupported):
        change.change(settings, defaults, [*either, nothing])
    assert [says(group, "io", name).split()[-1] for name in there] == now
    turn(group, Resources())
    assert [says(group, "io", name) for name in there] == before


@pytest.mark.skipif(not DISK, reason="this machine has no disk")
def test_a_weight_of_one_disk_needs_a_scheduler_that_heeds_it(cgroup: Maker) -> None:
    scheduler = files.read(f"/sys/block/{os.path.basename(DISK)}/queue/scheduler")
    costs = "/sys/fs/cgroup/io.cost.qos"  # of v2: which disks io.cost governs, each a line
    governed = files.read(costs).splitlines() if os.path.exists(costs) else []
    is_heeded = "[bfq]" in scheduler or any(
        line.startswith(f"{io.device_number(DISK)} ") and "enable=1" in line for line in governed
    )
    group = cgroup()
    wanted = Resources(blkio_weight_device=((DISK, 200),))
    if not is_heeded:
        with pytest.raises(Unsupported, match=f"the weight of the disk {io.device_number(DISK)} can't be kept"):
            turn(group, wanted)
        return
    turn(group, wanted)
    turn(group, Resources())


def test_memory_that_is_used_is_not_taken_away(cgroup: Maker) -> None:
    group = cgroup(memory=96 * MIB, memory_swap=96 * MIB, pids=40, cpus=0.5)
    child = group.run("x = bytearray(b'x') * (60 << 20); print('there', flush=True); import time; time.sleep(60)")
    assert first_line(child) == "there"
    if LAYOUT.home("memory")[0] == 2:  # there it reclaims, then kills
        return
    wanted = replace(group.resources, memory=8 * MIB, memory_swap=8 * MIB, pids=10, cpus=0.1)
    with pytest.raises(StartError, match=r"it uses \d+ MiB of memory now, more than the new limit of 8 MiB"):
        turn(group, wanted)
    assert says(group, "pids", "pids.max") == "40"
    assert says(group, "cpu", "cpu.cfs_quota_us") == "50000"


@pytest.mark.parametrize("limit", [{"cpuset": "0"}, {"hugetlb": ((SIZE, 0),)}])
def test_a_first_limit_of_a_v1_hierarchy_that_it_did_not_join_is_a_conflict(
    cgroup: Maker, limit: dict[str, Any]
) -> None:
    controller = "cpuset" if "cpuset" in limit else "hugetlb"
    version, _ = LAYOUT.home(controller)
    if not version:
        with pytest.raises(Unsupported, match=f"no {controller} controller"):
            cgroup(**limit)
        return
    group = cgroup()
    if version == 1:
        with pytest.raises(Conflict, match="its first "):
            turn(group, Resources(**limit))
    else:
        turn(group, Resources(**limit))
        assert asdict(group.resources)[next(iter(limit))]


def test_bursts_and_quotas_change_in_any_order(cgroup: Maker) -> None:
    """A burst above the quota is refused, so which goes first depends on what is there."""
    group = cgroup(cpus=1.0, cpu_burst=100_000)
    for cpus, burst in ((0.1, 10_000), (0.5, 50_000), (0.2, 1_000), (2.0, 200_000)):
        turn(group, Resources(cpus=cpus, cpu_burst=burst))
        assert says(group, "cpu", "cpu.cfs_burst_us" if LAYOUT.home("cpu")[0] == 1 else "cpu.max.burst") == str(burst)
