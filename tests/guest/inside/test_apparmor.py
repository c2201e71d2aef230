"""On a host with AppArmor: containers are under a profile, and what it holds is held by it alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pyctr_engine.containers import apparmor
from pyctr_engine.errors import Unsupported
from pyctr_engine.model.spec import ContainerRequest, Security
from tests.engine.containers.conftest import IMAGE, Bench, bench, shared_engine
from tests.engine.containers.test_lifecycle import until

__all__ = ["bench", "shared_engine"]
pytestmark = pytest.mark.root
CURRENT = ("cat", "/proc/self/attr/current")
MOUNT = ("sh", "-c", "mkdir -p /there && mount -t tmpfs none /there 2>&1 && echo mounted")


def test_this_host_has_it() -> None:
    assert apparmor.is_enabled()
    assert apparmor.parser()


def test_containers_and_execs_are_under_the_profile(bench: Bench) -> None:
    assert bench.run(*CURRENT).out.strip() == f"{apparmor.DEFAULT} (enforce)"
    container = bench.start()
    assert bench.exec(container, *CURRENT).out.strip() == f"{apparmor.DEFAULT} (enforce)"


@pytest.mark.parametrize("init", [False, True], ids=["a program", "our init"])
def test_one_whose_monitor_is_killed_ends_under_the_profile_too(bench: Bench, init: bool) -> None:
    container = bench.start(init=init)
    first = Path(f"/proc/{container.status.pid}")
    assert (first / "attr/current").read_text().strip() == f"{apparmor.DEFAULT} (enforce)"
    os.kill(container.status.monitor_pid, signal.SIGKILL)
    until(lambda: not first.exists())


def test_with_every_right_inside_nothing_can_be_mounted(bench: Bench) -> None:
    rights = {"cap_add": ("ALL",), "seccomp": "unconfined"}
    assert "mounted" not in bench.run(*MOUNT, security=Security(**rights)).out  # type: ignore[arg-type]
    without = Security(**rights, apparmor="unconfined")  # type: ignore[arg-type]
    assert bench.run(*MOUNT, security=without).out == "mounted\n"
    assert bench.run(*CURRENT, security=without).out.strip() == "unconfined"


def test_privileged_ones_are_not(bench: Bench) -> None:
    assert bench.run(*CURRENT, security=Security(privileged=True)).out.strip() == "unconfined"


def test_one_that_is_not_loaded_is_refused(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest(IMAGE, security=Security(apparmor="no-such-profile")))
    with pytest.raises(Unsupported, match="is not loaded"):
        bench.engine.start(container.id)
