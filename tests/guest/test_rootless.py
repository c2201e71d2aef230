"""An ordinary user's containers under systemd: limits are kept in what is delegated to the user."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Account
from tests.guest.image import USER

pytestmark = pytest.mark.root


def test_limits_are_kept_in_the_users_own_scope(account: Account) -> None:
    limits = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50")
    account("run", "-d", "--name", "held", *limits, "pyctr/base", "sleep", "1000")
    where = account.cgroup("held")
    uid = account.machine.run("id", "-u", USER).out.strip()
    assert where.startswith(f"/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/pyctr-tui-")
    assert account.limit("held", "memory.max") == str(64 << 20)
    assert account.limit("held", "cpu.max") == "50000 100000"
    assert account.limit("held", "pids.max") == "50"
    account("update", "--memory", "96m", "held")
    assert account.limit("held", "memory.max") == str(96 << 20)
    account("pause", "held")
    assert account.limit("held", "cgroup.freeze") == "1"
    account("unpause", "held")
    account("exec", "held", "true")
    assert "held" in account("stats", "--no-stream").out
