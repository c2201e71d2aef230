"""Limits, killing, freezing and removing, on this machine's real cgroups."""

from __future__ import annotations

import ast
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyctr_engine.cgroups import control
from pyctr_engine.cgroups.layout import detect
from pyctr_engine.errors import EngineError, StartError
from pyctr_engine.linux import namespaces
from tests.engine.cgroups.conftest import MIB, PARENT, Cgroup, Maker, first_line, until
from tests.hogs import disk

pytestmark = pytest.mark.root


def test_memory_above_the_limit_is_killed_and_counted(cgroup: Maker) -> None:
    group = cgroup(memory=32 * MIB, memory_swap=32 * MIB)
    child = group.run("x = bytearray(200 << 20)")
    assert child.wait() == -signal.SIGKILL
    assert control.oom_kills(group.plan.oom) == 1
    assert group.read().oom_kills == 1


def test_memory_below_the_limit_is_charged_and_lives(cgroup: Maker) -> None:
    group = cgroup(memory=96 * MIB)
    child = group.run("x = bytearray(b'x') * (40 << 20); print('there', flush=True); import time; time.sleep(60)")
    assert first_line(child) == "there"
    reading = group.read()
    assert reading.memory >= reading.anon >= 40 * MIB
    assert reading.memory <= 96 * MIB
    assert reading.memory_limit == 96 * MIB
    assert reading.oom_kills == 0


def test_a_cpu_quota_throttles(cgroup: Maker) -> None:
    group = cgroup(cpus=0.1)
    # Half a second of CPU time at a tenth of a CPU can't be had without being held back.
    group.run("import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass").wait()
    reading = group.read()
    assert reading.throttled_periods >= 10
    assert reading.throttled_usec > 100_000
    assert reading.cpu_usec >= 500_000
    assert reading.user_usec + reading.system_usec <= reading.cpu_usec + 20_000


def test_the_pids_limit_makes_fork_fail(cgroup: Maker) -> None:
    group = cgroup(pids=3)
    child = group.run(
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 50:\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "        made += 1\n"
        "except BlockingIOError:\n"
        "    print(made, flush=True)\n"
        "time.sleep(60)"
    )
    assert first_line(child) == "2"
    reading = group.read()
    assert (reading.pids, reading.pids_limit) == (3, 3)


def test_a_cpuset_binds_to_its_cpus(cgroup: Maker) -> None:
    last = max(os.sched_getaffinity(0))
    child = cgroup(cpuset=str(last)).run("import os; print(sorted(os.sched_getaffinity(0)), flush=True)")
    assert first_line(child) == str([last])


def test_direct_io_is_counted(cgroup: Maker, tmp_path: Path) -> None:
    if os.major(os.stat(tmp_path).st_dev) == 0:
        pytest.skip("the test's directory is not on a disk")
    # cgroup v1 of Linux 6.1 counts only where a rule throttles.
    plenty = ((disk(), 1 << 40),) if disk() and detect().home("io")[0] == 1 else ()
    group = cgroup(device_read_bps=plenty, device_write_bps=plenty)
    target = str(tmp_path / "file")
    child = group.run(
        "import os, mmap\n"
        f"fd = os.open({target!r}, os.O_RDWR | os.O_CREAT | os.O_DIRECT)\n"
        "page = mmap.mmap(-1, 1 << 20)\n"
        "os.write(fd, page); os.fsync(fd); os.preadv(fd, [page], 0)\n"
    )
    assert child.wait() == 0
    reading = group.read()
    assert reading.write_bytes >= MIB
    assert reading.read_bytes >= MIB
    assert reading.read_ops > 0


FORKER = """
import os, time
for _ in range(4):
    os.fork()
os.setsid() if os.getpid() != os.getsid(0) else None
print('x', flush=True)
while True:
    if os.fork() == 0:
        os._exit(0)
    os.waitpid(-1, 0)
"""


def test_kill_ends_a_tree_that_keeps_forking(cgroup: Maker) -> None:
    group = cgroup(pids=200)
    child = group.run(FORKER)
    first_line(child)
    assert until(lambda: len(control.pids(group.plan.directories[0])) >= 16)
    group.kill()
    assert child.wait() == -signal.SIGKILL
    assert until(lambda: control.pids(group.plan.directories[0]) == [])


def test_kill_works_without_a_unified_tree(cgroup: Maker) -> None:
    """The way of a pure v1 host: the freezer holds all still while they are signalled."""
    group = cgroup()
    freezer = group.layout.v1.get("freezer")
    if freezer is None:
        pytest.skip("no v1 freezer here")
    directories = [f"{freezer}/{PARENT}/containers/{group.id}"]
    control.prepare([(f"{freezer}/{PARENT}", ()), (f"{freezer}/{PARENT}/containers", ())], directories, [])
    try:
        child = group.run(f"open('{directories[0]}/cgroup.procs', 'w').write('0')\n" + FORKER)
        first_line(child)
        assert until(lambda: len(control.pids(directories[0])) >= 16)
        control.kill("", directories)
        assert child.wait() == -signal.SIGKILL
        assert until(lambda: control.pids(directories[0]) == [])
    finally:
        group.kill()
        assert control.remove(directories) == []


def stillness(group: Cgroup) -> int:
    """The CPU time used, once it grows no more; what was used up to the freezing is counted a moment later."""
    readings: list[int] = []

    def unchanged() -> bool:
        readings.append(group.read().cpu_usec)
        time.sleep(0.1)
        return readings[-1] == group.read().cpu_usec

    assert until(unchanged)
    return readings[-1]


def test_freeze_stops_progress_and_thaw_lets_it_go_on(cgroup: Maker) -> None:
    group = cgroup()
    child = group.run("while True: pass")
    assert until(lambda: group.read().cpu_usec > 100_000)
    control.freeze(group.plan.unified, group.plan.directories)
    before = stillness(group)
    control.thaw(group.plan.unified, group.plan.directories)
    assert until(lambda: group.read().cpu_usec > before)
    assert child.poll() is None


def test_the_v1_freezer_does_the_same(cgroup: Maker) -> None:
    group = cgroup()
    freezer = group.layout.v1.get("freezer")
    if freezer is None:
        pytest.skip("no v1 freezer here")
    directories = [f"{freezer}/{PARENT}/containers/{group.id}"]
    control.prepare([(f"{freezer}/{PARENT}", ()), (f"{freezer}/{PARENT}/containers", ())], directories, [])
    try:
        group.run(f"open('{directories[0]}/cgroup.procs', 'w').write('0')\nwhile True: pass")
        assert until(lambda: control.pids(directories[0]) != [] and group.read().cpu_usec > 100_000)
        control.freeze("", directories)
        before = stillness(group)
        control.thaw("", directories)
        assert until(lambda: group.read().cpu_usec > before)
    finally:
        group.kill()
        assert control.remove(directories) == []


def test_a_frozen_container_can_be_killed(cgroup: Maker) -> None:
    group = cgroup()
    child = group.run("print('x', flush=True)\nwhile True: pass")
    first_line(child)
    control.freeze(group.plan.unified, group.plan.directories)
    group.kill()
    assert child.wait() == -signal.SIGKILL


def test_remove_takes_nested_cgroups_too(cgroup: Maker) -> None:
    group = cgroup()
    for directory in group.plan.directories:
        os.makedirs(f"{directory}/a/b")
        os.makedirs(f"{directory}/c")
    assert control.remove(group.plan.directories) == []
    assert not any(os.path.exists(path) for path in group.plan.directories)


def test_remove_waits_a_bounded_time_for_processes(cgroup: Maker) -> None:
    group = cgroup()
    first_line(group.run("print('x', flush=True)\nimport time; time.sleep(60)"))
    left = control.remove(group.plan.directories, timeout=0.05)
    assert set(left) == set(group.plan.directories)


def test_pids_are_found_below_too(cgroup: Maker) -> None:
    group = cgroup()
    below = f"{group.plan.directories[0]}/below"
    os.mkdir(below)
    child = group.run(
        f"open('{below}/cgroup.procs', 'w').write('0')\nprint('x', flush=True)\nimport time; time.sleep(60)"
    )
    first_line(child)
    assert control.pids(group.plan.directories[0]) == [child.pid]
    assert control.pids("/sys/fs/cgroup/not-there") == []


def test_what_an_earlier_run_left_is_made_afresh(cgroup: Maker) -> None:
    group = cgroup()
    group.run("pass").wait()
    assert group.read().cpu_usec > 0
    control.prepare(group.plan.parents, group.plan.directories, group.plan.settings, group.plan.defaults)
    assert group.read().cpu_usec == 0


def test_a_cgroup_still_in_use_is_refused_and_left_alone(cgroup: Maker) -> None:
    group = cgroup()
    child = group.run("print('x', flush=True)\nimport time; time.sleep(60)")
    first_line(child)
    with pytest.raises(StartError, match="still in use"):
        control.prepare(group.plan.parents, group.plan.directories, group.plan.settings, group.plan.defaults)
    assert child.poll() is None
    assert group.read().pids == 1


def test_a_refused_value_is_named_and_everything_is_undone(cgroup: Maker) -> None:
    group = cgroup()
    assert control.remove(group.plan.directories) == []
    _, home = group.layout.directory("pids", PARENT, group.id)
    with pytest.raises(StartError) as caught:
        control.prepare(group.plan.parents, group.plan.directories, [(f"{home}/pids.max", "many")])
    assert caught.value.message == f"cannot write 'many' to {home}/pids.max: invalid argument (EINVAL)"
    assert not any(os.path.exists(path) for path in group.plan.directories)


def test_defaults_are_left_out_where_the_file_is_missing(cgroup: Maker) -> None:
    group = cgroup()
    control.prepare(
        group.plan.parents, group.plan.directories, [], [(f"{group.plan.directories[0]}/no.such.file", "1")]
    )


def test_attaching_a_process_that_is_gone_says_so(cgroup: Maker) -> None:
    group = cgroup()
    child = group.run("pass")
    child.wait()
    procs = f"{group.plan.directories[0]}/cgroup.procs"
    with pytest.raises(StartError, match="ESRCH"):
        control.attach([procs], child.pid)


def test_killing_what_is_gone_is_no_error(cgroup: Maker) -> None:
    group = cgroup()
    assert control.remove(group.plan.directories) == []
    group.kill()
    control.thaw(group.plan.unified, group.plan.directories)
    with pytest.raises(EngineError):
        control.freeze(group.plan.unified, group.plan.directories, timeout=0.05)


def test_a_process_can_be_born_in_its_cgroup(cgroup: Maker) -> None:
    """As a start does it where there is a unified tree; what it forks can never escape a kill."""
    group = cgroup()
    if not group.plan.clone_into:
        pytest.skip("no unified tree here")
    directory = os.open(group.plan.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    pid, pidfd = namespaces.clone3(0, directory)
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.close(directory)
    try:
        assert control.pids(group.plan.unified) == [pid]
        group.kill()
        assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
    finally:
        os.close(pidfd)


def test_shared_parents_may_vanish_while_a_cgroup_is_made(cgroup: Maker) -> None:
    """One container ends and takes the empty parents with it while another starts."""
    group = cgroup()
    shared = group.layout.shared(PARENT)
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            control.remove_shared(shared)
            time.sleep(0.01)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(50):
            assert control.remove(group.plan.directories) == []
            control.prepare(group.plan.parents, group.plan.directories, group.plan.settings, group.plan.defaults)
            assert group.read().pids == 0
    finally:
        stop.set()
        sweeper.join()


def test_importing_control_stays_light() -> None:
    """The monitor of every container pays for it."""
    program = (
        "import sys; before = set(sys.modules); import pyctr_engine.cgroups.control;"
        "print(sorted(set(sys.modules) - before))"
    )
    engine = os.path.dirname(os.path.dirname(os.path.dirname(control.__file__)))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {engine!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(ast.literal_eval(ran.stdout))
    assert imported.isdisjoint({"dataclasses", "re", "json", "typing", "inspect", "subprocess", "signal", "enum"})


def test_resource_use_is_the_childs_not_ours(cgroup: Maker) -> None:
    """A reading is of the cgroup, whatever else this machine does."""
    group = cgroup()
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    while resource.getrusage(resource.RUSAGE_SELF).ru_utime < ours + 0.05:
        pass
    assert group.read().cpu_usec == 0
