"""The same life on every layout of control groups that this host can be made to show, in a mount namespace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pyctr_engine.paths import Paths

pytestmark = pytest.mark.root

ROOT = "/sys/fs/cgroup"
UNIFIED_ALONE = f"umount -R {ROOT} 2>/dev/null || umount -l {ROOT}; mount -t cgroup2 none {ROOT}"
V1_ALONE = f"umount {ROOT}/unified"
LIFE = """
set -e
mount --make-rprivate /
{layout}
pyctr run --rm pyctr/base sh -c 'echo first; cut -d: -f3 /proc/self/cgroup | sort -u'
pyctr run -d --name it pyctr/base sh -c 'trap "exit 7" TERM; echo up; while :; do sleep 0.05; done' >/dev/null
until pyctr logs it | grep -q up; do :; done
pyctr exec it echo further
pyctr pause it >/dev/null; pyctr ps --format '{{{{.State}}}}'; pyctr unpause it >/dev/null
pyctr stop it >/dev/null; pyctr inspect --format '{{{{.State.ExitCode}}}}' it
pyctr rm it >/dev/null
pyctr system check | grep -v ^ok || echo sound
"""


DEVICES = """
set -e
mount --make-rprivate /
{layout}
pyctr run --rm --userns=host pyctr/base sh -c '
    mknod /control c 10 237; (: < /control) 2>&1
    mknod /null2 c 1 3; echo x > /null2; echo opened'
pyctr run --rm --userns=host --device-cgroup-rule 'c 10:237 rw' pyctr/base sh -c '
    mknod /control c 10 237; (: < /control) 2>&1; true'
"""


def on(layout: str, script: str, paths: Paths) -> str:
    """What a script prints where this layout is all that there is of control groups."""
    if layout == V1_ALONE and not os.path.isdir(f"{ROOT}/unified"):
        pytest.skip("this host has no v1 hierarchies beside a unified one")
    program = f'pyctr() {{ "{sys.executable}" -m pyctr_tui.cli.main "$@"; }}\n'
    environment = {**os.environ, "PYCTR_STATE_DIR": paths.state, "PYCTR_RUN_DIR": paths.run}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", program + script.format(layout=layout)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("layout", [UNIFIED_ALONE, V1_ALONE], ids=["v2", "v1"])
def test_a_life(paths: Paths, no_leaks: Paths, layout: str) -> None:
    assert on(layout, LIFE, paths).split() == ["first", "/", "further", "paused", "7", "sound"]


@pytest.mark.parametrize("layout", [UNIFIED_ALONE, V1_ALONE], ids=["v2", "v1"])
def test_devices_are_kept_from_who_has_the_hosts_ids(paths: Paths, no_leaks: Paths, layout: str) -> None:
    """By a program on the unified tree, and where there is none by the v1 controller. 10:237 is loop-control."""
    refused, opened, *more = on(layout, DEVICES, paths).splitlines()
    assert "Operation not permitted" in refused
    assert opened == "opened"
    assert "Operation not permitted" not in "".join(more), "it is allowed by a rule"
