"""One reading, from files as each layout has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.cgroups import stats
from pyctr_engine.errors import NotFound
from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stats import DeviceIo, Pressure, Stats
from tests.unit.cgroups import trees
from tests.unit.cgroups.trees import ID, fill

LIMITS = Resources(memory=1 << 20, cpus=0.5, pids=50)


def same_reading(reading: Stats) -> None:
    """What every layout must say of the same container."""
    assert (reading.cpu_usec, reading.user_usec, reading.system_usec) == (5000, 3000, 2000)
    assert (reading.periods, reading.throttled_periods, reading.throttled_usec) == (10, 4, 700)
    assert (reading.memory, reading.anon, reading.file, reading.kernel) == (16384, 8192, 4096, 2048)
    assert (reading.swap, reading.oom_kills, reading.max_events, reading.pids) == (512, 3, 12, 7)
    assert (reading.memory_peak, reading.working_set) == (20000, 16384 - 1024)
    assert (reading.read_bytes, reading.write_bytes, reading.read_ops, reading.write_ops) == (4097, 8194, 1, 2)
    assert (reading.memory_limit, reading.cpu_limit, reading.pids_limit) == (1 << 20, 0.5, 50)
    assert reading.devices == (DeviceIo("4094:0", "", 4096, 8192, 1, 2), DeviceIo("4095:0", "", 1, 2, 0, 0))


def fill_pressure(directory: Path) -> None:
    fill(directory, cpu__pressure=trees.PRESSURE, memory__pressure=trees.PRESSURE, io__pressure=trees.PRESSURE)


def fill_v1(root: Path, cpu: str) -> None:
    """The container's v1 directories."""
    below = f"p/containers/{ID}"
    fill(root / cpu / below, cpu__stat=trees.CPU_STAT_V1)
    fill(
        root / "memory" / below,
        memory__stat=trees.MEMORY_STAT_V1,
        memory__usage_in_bytes="16384\n",
        memory__kmem__usage_in_bytes="2048\n",
        memory__max_usage_in_bytes="20000\n",
        memory__failcnt="12\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    )
    fill(root / "pids" / below, pids__current="7\n")
    fill(
        root / "blkio" / below,
        blkio__throttle__io_service_bytes_recursive=trees.BLKIO_BYTES,
        blkio__throttle__io_serviced_recursive=trees.BLKIO_OPS,
    )


def fill_v2(directory: Path) -> None:
    fill(
        directory,
        cpu__stat=trees.CPU_STAT_V2,
        memory__current="16384\n",
        memory__peak="20000\n",
        memory__stat=trees.MEMORY_STAT_V2,
        memory__swap__current="512\n",
        memory__events="low 0\nhigh 5\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n",
        pids__current="7\n",
        io__stat=trees.IO_STAT,
    )


def test_v2(tmp_path: Path) -> None:
    layout = trees.v2(tmp_path)
    fill_v2(tmp_path / "cgroup/p/containers" / ID)
    fill_pressure(tmp_path / "cgroup/p/containers" / ID)
    reading = stats.read(layout, "p", ID, LIMITS)
    same_reading(reading)
    assert reading.io_pressure == Pressure(some=1.5, full=0.25, some_usec=12345, full_usec=2345)
    assert (reading.oom_events, reading.high_events) == (4, 5)


@pytest.mark.parametrize("comounted", [False, True])
def test_hybrid(tmp_path: Path, comounted: bool) -> None:
    layout = trees.hybrid(tmp_path, comounted)
    fill_v1(tmp_path / "cgroup", "cpu,cpuacct" if comounted else "cpu")
    fill(tmp_path / "cgroup/unified/p/containers" / ID, cpu__stat=trees.CPU_STAT_UNIFIED)
    fill_pressure(tmp_path / "cgroup/unified/p/containers" / ID)
    reading = stats.read(layout, "p", ID, LIMITS)
    same_reading(reading)
    assert reading.memory_pressure == Pressure(some=1.5, full=0.25, some_usec=12345, full_usec=2345)
    assert (reading.oom_events, reading.high_events) == (None, None), "v1 counts neither"


@pytest.mark.parametrize("comounted", [False, True])
def test_v1_has_no_pressure(tmp_path: Path, comounted: bool) -> None:
    layout = trees.v1(tmp_path, comounted)
    fill_v1(tmp_path / "cgroup", "cpu,cpuacct" if comounted else "cpu")
    fill(
        tmp_path / "cgroup" / ("cpu,cpuacct" if comounted else "cpuacct") / f"p/containers/{ID}",
        cpuacct__usage="5000999\n",
        cpuacct__usage_user="3000000\n",
        cpuacct__usage_sys="2000000\n",
    )
    reading = stats.read(layout, "p", ID, LIMITS)
    same_reading(reading)
    assert reading.cpu_pressure == Pressure()


def test_kernel_memory_before_linux_5_18_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    layout = trees.v2(tmp_path)
    older = trees.MEMORY_STAT_V2.replace("kernel 2048\n", "slab 700\n")
    fill(tmp_path / "cgroup/p/containers" / ID, memory__stat=older)
    assert stats.read(layout, "p", ID).kernel == 1000


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    layout = trees.v2(tmp_path, "cpu")
    fill(tmp_path / "cgroup/p/containers" / ID, cpu__stat=trees.CPU_STAT_UNIFIED)
    reading = stats.read(layout, "p", ID)
    assert (reading.cpu_usec, reading.periods, reading.memory, reading.pids) == (5000, None, None, None)
    assert (reading.read_bytes, reading.devices, reading.oom_kills, reading.working_set) == (None, (), None, None)
    assert (reading.memory_limit, reading.cpu_limit, reading.pids_limit) == (None, None, None)


def test_a_container_without_a_cgroup_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="isn't running"):
        stats.read(trees.v2(tmp_path), "p", ID)
