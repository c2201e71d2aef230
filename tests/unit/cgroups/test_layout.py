"""Which hierarchies are found, and what a start is told to do with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyctr_engine.cgroups.layout import detect
from pyctr_engine.errors import Unsupported
from pyctr_engine.model.spec import Resources
from tests.unit.cgroups import trees
from tests.unit.cgroups.trees import ID

ALL = Resources(
    memory=64 << 20,
    memory_swap=96 << 20,
    memory_reservation=32 << 20,
    cpus=1.5,
    cpu_shares=512,
    cpuset="0-1",
    pids=100,
)


def short(tmp_path: Path, writes: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Writes with the container's directory cut down to its hierarchy."""
    root = f"{tmp_path}/cgroup/"
    return [(path.removeprefix(root).replace(f"p/containers/{ID}/", ""), value) for path, value in writes]


class TestDetect:
    def test_names_the_three_modes(self, tmp_path: Path) -> None:
        assert trees.v2(tmp_path / "a").mode == "v2"
        assert trees.hybrid(tmp_path / "b").mode == "hybrid"
        assert trees.v1(tmp_path / "c").mode == "v1"

    def test_knows_controllers_that_share_a_hierarchy(self, tmp_path: Path) -> None:
        layout = trees.v1(tmp_path, comounted=True)
        assert layout.v1["cpu"] == layout.v1["cpuacct"] == f"{tmp_path}/cgroup/cpu,cpuacct"

    def test_ignores_cgroups_mounted_elsewhere(self, tmp_path: Path) -> None:
        assert trees.v2(tmp_path).v1 == {}

    def test_says_so_when_there_are_none(self, tmp_path: Path) -> None:
        table = tmp_path / "mountinfo"
        table.write_text("22 1 254:0 / / rw - ext4 /dev/vda rw\n")
        with pytest.raises(Unsupported, match="no control groups are mounted"):
            detect("/sys/fs/cgroup", str(table))

    def test_reads_mount_points_with_spaces(self, tmp_path: Path) -> None:
        root = tmp_path / "c group"
        trees.fill(root, cgroup__controllers="memory\n")
        table = tmp_path / "mountinfo"
        table.write_text(f"31 23 0:28 / {str(root).replace(' ', chr(92) + '040')} rw - cgroup2 cgroup2 rw\n")
        assert detect(str(root), str(table)).unified == str(root)


class TestV2:
    def test_limits_in_v2s_words(self, tmp_path: Path) -> None:
        plan = trees.v2(tmp_path).plan("p", ID, ALL)
        assert short(tmp_path, plan.settings) == [
            ("cpu.weight", "59"),
            ("cpu.max", "150000 100000"),
            ("memory.max", str(64 << 20)),
            ("memory.swap.max", str(32 << 20)),
            ("memory.low", str(32 << 20)),
            ("pids.max", "100"),
            ("cpuset.cpus", "0-1"),
        ]

    def test_is_cloned_into_and_never_attached(self, tmp_path: Path) -> None:
        plan = trees.v2(tmp_path).plan("p", ID, ALL)
        home = f"{tmp_path}/cgroup/p/containers/{ID}"
        assert (plan.attach, plan.clone_into, plan.unified) == ((), home, home)
        assert plan.directories == (home,)
        assert plan.oom == f"{home}/memory.events"

    def test_every_parent_hands_controllers_down_and_the_leaves_do_not(self, tmp_path: Path) -> None:
        plan = trees.v2(tmp_path).plan("p", ID, Resources())
        root = f"{tmp_path}/cgroup"
        enable = (("cgroup.subtree_control", "+cpu +memory +pids +io"),)
        assert plan.parents == (
            (root, enable),
            (f"{root}/p", enable),
            (f"{root}/p/containers", enable),
            (f"{root}/p/monitors", ()),
        )

    def test_cpuset_is_enabled_only_when_asked_for(self, tmp_path: Path) -> None:
        plan = trees.v2(tmp_path).plan("p", ID, Resources(cpuset="0"))
        assert plan.parents[0][1] == (("cgroup.subtree_control", "+cpu +memory +pids +io +cpuset"),)

    def test_takes_only_the_controllers_there_are(self, tmp_path: Path) -> None:
        plan = trees.v2(tmp_path, "memory pids").plan("p", ID, Resources(pids=5))
        assert plan.parents[0][1] == (("cgroup.subtree_control", "+memory +pids"),)

    def test_a_limit_without_its_controller_is_an_error_that_names_both(self, tmp_path: Path) -> None:
        layout = trees.v2(tmp_path, "cpu pids")
        with pytest.raises(Unsupported, match=r"limit memory .* no memory controller"):
            layout.plan("p", ID, Resources(memory=64 << 20))
        assert layout.plan("p", ID, Resources()).oom == ""

    def test_no_unasked_setting_but_the_default_of_swap(self, tmp_path: Path) -> None:
        layout = trees.v2(tmp_path)
        assert layout.plan("p", ID, Resources()).settings == ()
        plan = layout.plan("p", ID, Resources(memory=64 << 20))
        assert short(tmp_path, plan.settings) == [("memory.max", str(64 << 20))]
        assert short(tmp_path, plan.defaults) == [("memory.swap.max", str(64 << 20))]


SCOPE = "system.slice/p.scope"


class TestDelegatedByTheServiceManager:
    def test_nothing_above_the_scope_is_written_or_removed(self, tmp_path: Path) -> None:
        layout = trees.v2(tmp_path)
        home = f"{tmp_path}/cgroup/{SCOPE}"
        plan = layout.plan(SCOPE, ID, Resources())
        assert [path for path, _ in plan.parents] == [home, f"{home}/containers", f"{home}/monitors"]
        assert layout.shared(SCOPE) == (f"{home}/containers", f"{home}/monitors")

    def test_controllers_are_those_that_are_handed_down(self, tmp_path: Path) -> None:
        layout = trees.v2(tmp_path)
        before = layout.within(SCOPE)
        assert before.available == {"cpuset", "cpu", "io", "memory", "pids"}  # of those that systemd knows
        trees.fill(tmp_path / "cgroup" / SCOPE, cgroup__controllers="cpu memory pids\n")
        after = layout.within(SCOPE)
        assert after.available == {"cpu", "memory", "pids"}
        with pytest.raises(Unsupported, match=r"limit cpuset .* hands down no cpuset"):
            after.plan(SCOPE, ID, Resources(cpuset="0"))

    def test_a_users_are_those_of_the_users_manager(self, tmp_path: Path) -> None:
        layout = trees.v2(tmp_path)
        trees.fill(tmp_path / "cgroup/user.slice/user@7.service", cgroup__controllers="memory pids\n")
        assert layout.within("user.slice/user@7.service/app.slice/p.scope").available == {"memory", "pids"}

    def test_a_subtree_of_its_own_has_all(self, tmp_path: Path) -> None:
        assert "hugetlb" in trees.v2(tmp_path).within("p").available


class TestHybrid:
    @pytest.mark.parametrize("comounted", [False, True])
    def test_limits_go_to_v1_memory_before_memory_and_swap(self, tmp_path: Path, comounted: bool) -> None:
        plan = trees.hybrid(tmp_path, comounted).plan("p", ID, ALL)
        cpu = "cpu,cpuacct" if comounted else "cpu"
        assert short(tmp_path, plan.settings) == [
            (f"{cpu}/cpu.shares", "512"),
            (f"{cpu}/cpu.cfs_period_us", "100000"),
            (f"{cpu}/cpu.cfs_quota_us", "150000"),
            ("memory/memory.limit_in_bytes", str(64 << 20)),
            ("memory/memory.memsw.limit_in_bytes", str(96 << 20)),
            ("memory/memory.soft_limit_in_bytes", str(32 << 20)),
            ("pids/pids.max", "100"),
            ("cpuset/cpuset.cpus", "0-1"),
            ("cpuset/cpuset.mems", "0"),
        ]

    def test_joins_only_what_matters(self, tmp_path: Path) -> None:
        plan = trees.hybrid(tmp_path).plan("p", ID, Resources())
        where = [path.removeprefix(f"{tmp_path}/cgroup/").split("/")[0] for path in plan.attach]
        assert where == ["cpu", "memory", "pids", "blkio"]
        assert plan.clone_into == plan.unified == f"{tmp_path}/cgroup/unified/p/containers/{ID}"
        assert plan.directories[0] == plan.unified
        assert len(plan.directories) == 5

    def test_a_shared_hierarchy_is_joined_once(self, tmp_path: Path) -> None:
        plan = trees.hybrid(tmp_path, comounted=True).plan("p", ID, Resources(cpus=1))
        assert sum("cpu,cpuacct" in path for path in plan.attach) == 1

    def test_kill_and_the_monitor_are_in_the_unified_tree(self, tmp_path: Path) -> None:
        plan = trees.hybrid(tmp_path).plan("p", ID, Resources())
        monitor = f"{tmp_path}/cgroup/unified/p/monitors/{ID}"
        assert plan.monitor_directories == (monitor,)
        assert plan.monitor_attach == (f"{monitor}/cgroup.procs",)
        assert plan.oom == f"{tmp_path}/cgroup/memory/p/containers/{ID}/memory.oom_control"

    def test_cpusets_above_the_container_are_filled_in(self, tmp_path: Path) -> None:
        plan = trees.hybrid(tmp_path).plan("p", ID, Resources(cpuset="1"))
        filled = {
            path.removeprefix(f"{tmp_path}/cgroup/"): dict(writes)
            for path, writes in plan.parents
            if "/cgroup/cpuset/" in path
        }
        whole = {"cpuset.cpus": "0-3", "cpuset.mems": "0"}
        assert filled == {"cpuset/p": whole, "cpuset/p/containers": whole}

    def test_a_v1_cpuset_of_its_own_gets_memory_nodes(self, tmp_path: Path) -> None:
        plan = trees.hybrid(tmp_path).plan("p", ID, Resources(cpuset="1"))
        assert ("cpuset/cpuset.mems", "0") in short(tmp_path, plan.settings)


class TestV1:
    def test_freezer_and_cpuacct_serve_where_there_is_no_unified_tree(self, tmp_path: Path) -> None:
        plan = trees.v1(tmp_path, comounted=False).plan("p", ID, Resources())
        where = [path.removeprefix(f"{tmp_path}/cgroup/").split("/")[0] for path in plan.attach]
        assert where == ["cpu", "memory", "pids", "blkio", "cpuacct", "freezer"]
        assert (plan.unified, plan.clone_into) == ("", "")

    def test_the_monitor_is_named_in_one_hierarchy(self, tmp_path: Path) -> None:
        plan = trees.v1(tmp_path).plan("p", ID, Resources())
        assert plan.monitor_directories == (f"{tmp_path}/cgroup/freezer/p/monitors/{ID}",)
        assert f"{tmp_path}/cgroup/freezer/p/monitors" in [path for path, _ in plan.parents]


def test_a_plan_travels_as_json(tmp_path: Path) -> None:
    plan = trees.hybrid(tmp_path).plan("p", ID, ALL)
    there = json.loads(json.dumps(plan.as_json()))
    assert there["directories"] == list(plan.directories)
    assert there["parents"][0] == [plan.parents[0][0], [list(write) for write in plan.parents[0][1]]]


def test_what_is_left_of_a_container_is_found(tmp_path: Path) -> None:
    layout = trees.hybrid(tmp_path)
    root = tmp_path / "cgroup"
    (root / "memory/p/containers" / ID).mkdir(parents=True)
    (root / "unified/p/monitors" / ID).mkdir(parents=True)
    (root / "unified/p/containers" / ("a" * 64)).mkdir(parents=True)
    assert layout.ids("p") == {ID, "a" * 64}
    assert layout.existing("p", ID) == (f"{root}/memory/p/containers/{ID}", f"{root}/unified/p/monitors/{ID}")
    assert layout.ids("q") == set()
