"""Beside docker and podman: nowhere weaker without a reason; and the page that says so is up to date."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.isolation import compare

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are x86_64's"),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[compare.Seen]:
    return compare.observe(str(tmp_path_factory.mktemp("compare")))


def test_the_probe_saw_all_three(seen: list[compare.Seen]) -> None:
    assert [each.name for each in seen] == ["pyctr-tui", "docker", "podman"]
    for each in seen:
        assert each.default["calls"]["39"] == "ok", "getpid is allowed everywhere"
        assert each.default["calls"]["246"] in compare.REFUSED, "kexec_load is nowhere"
        assert each.unfiltered["calls"]["165"] == "EFAULT", "without the filter, mount is reached"
        assert each.default["status"]["Seccomp"] == "2"
        assert each.unfiltered["status"]["Seccomp"] == "0"


def test_ours_is_nowhere_weaker_without_a_reason(seen: list[compare.Seen]) -> None:
    ours, *others = seen
    found = {other.name: compare.weaknesses(ours, other) for other in others}
    without = {name: [item for item in items if not compare.reason(item)] for name, items in found.items()}
    assert without == {"docker": [], "podman": []}


def test_the_comparison_would_see_a_weakness(seen: list[compare.Seen]) -> None:
    """Turned round, it finds where the peers are weaker; without the filter, ours is."""
    ours, docker, podman = seen
    for peer in (docker, podman):
        found = compare.weaknesses(peer, ours)
        assert {"ids", "namespace user", "writable /proc/slabinfo", "node null"} <= set(found)
    assert "call io_uring_setup" in compare.weaknesses(docker, ours)
    assert "argument unshare user" in compare.weaknesses(podman, ours)
    bare = compare.Seen("bare", "", ours.unfiltered, ours.unfiltered)
    assert {"no filter", "call mount", "argument clone user"} <= set(compare.weaknesses(bare, docker))


def test_what_ours_holds_by_itself(seen: list[compare.Seen]) -> None:
    ours = seen[0]
    told = ours.default
    assert ours.shared() == ["time"]
    assert not ours.is_host_root()
    assert [answer for answer in told["nodes"].values() if answer != "EPERM"] == []
    assert told["descriptors"] == [0, 1, 2]
    assert told["environment"] == ["HOME", "LANG", "PATH"]
    assert [path for path in told["writable"] if not path.startswith("/proc/pressure/")] == []
    assert {opens for _, opens in told["devices"].values()} <= {"ok", "ENXIO"}
    assert told["variants"]["x32 getpid"] == "ENOSYS"


def test_the_page_tells_what_was_seen(seen: list[compare.Seen]) -> None:
    """Its rows about ours, but for figures of this machine; run the command that it names to write it anew."""
    written = compare.PAGE.read_text()
    for line in compare.page(seen[:1]).splitlines():
        if (
            line.startswith(("| root", "| cap", "| …", "| namespaces", "| device nodes", "| `/", "| files of"))
            and "cgroup`" not in line
        ):
            what, ours = line.strip("| ").split(" | ")[:2]
            assert f"| {what} | {ours} |" in written, f"{what}: {Path(compare.PAGE).name} says something else"
