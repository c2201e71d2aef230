"""What keeps ordinary users from having namespaces, and the remedy for each."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyctr_engine.house import obstacles


def settings(directory: Path, **values: str) -> str:
    for name, value in values.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return str(directory)


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("kernel__unprivileged_userns_clone", "kernel.unprivileged_userns_clone=1"),
        ("user__max_user_namespaces", "user.max_user_namespaces=15000"),
        ("user__max_net_namespaces", "user.max_net_namespaces=15000"),
    ],
)
def test_a_switch_of_the_kernel_is_named_with_its_opposite(tmp_path: Path, setting: str, remedy: str) -> None:
    found = obstacles.found(settings(tmp_path, **{setting: "0"}))
    assert found is not None
    assert setting.replace("__", ".").split(".", 1)[1] in found.what
    assert remedy in found.remedy


def test_apparmors_restriction_wants_a_profile_for_this_interpreter(tmp_path: Path) -> None:
    found = obstacles.found(settings(tmp_path, kernel__apparmor_restrict_unprivileged_userns="1"))
    assert found is not None
    assert obstacles.PROFILE in found.remedy
    assert "userns," in found.remedy
    assert "apparmor_parser -r" in found.remedy


def test_nothing_is_in_the_way_where_the_settings_allow_it(tmp_path: Path) -> None:
    free = settings(tmp_path, user__max_user_namespaces="1000", kernel__apparmor_restrict_unprivileged_userns="0")
    assert obstacles.found(free) is None


def test_an_error_of_the_kernel_says_what_was_being_done() -> None:
    error = obstacles.explain(errno.ENOSPC, "make namespaces")
    assert error.message == f"cannot make namespaces: {os.strerror(errno.ENOSPC).lower()}"
    assert "user.max_" in error.hint


def test_a_newuidmap_that_is_not_set_user_id_is_told(tmp_path: Path) -> None:
    program = tmp_path / "newuidmap"
    program.write_text("")
    assert "not set-user-id root" in obstacles.unmapped(str(program), "").message
    program.chmod(0o4755)
    assert "write to uid_map failed" in obstacles.unmapped(str(program), "write to uid_map failed").message


@pytest.mark.parametrize(
    ("enabled", "rule", "blind"),
    [
        ("Y", "  @{PROC}/net/tcp r,", True),
        ("Y", "  @{PROC}/@{pid}/net/tcp r,", False),
        ("N", "  @{PROC}/net/tcp r,", False),
    ],
)
def test_pastas_apparmor_profile_may_hide_the_ports_from_it(
    tmp_path: Path, enabled: str, rule: str, blind: bool
) -> None:
    switch, rules = tmp_path / "enabled", tmp_path / "pasta"
    switch.write_text(enabled)
    rules.write_text(rule)
    assert obstacles.pasta_is_blind(str(switch), str(rules)) is blind
    assert not obstacles.pasta_is_blind(str(switch), str(tmp_path / "none"))
