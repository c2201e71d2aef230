"""Where an engine's cgroups belong. That systemd makes room there is shown in the guest (tests/guest/inside)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.cgroups import systemd
from pyctr_engine.cgroups.systemd import Home
from pyctr_engine.errors import InvalidValue

PLAIN, SCOPE = "p", "system.slice/p.scope"


def place(root: Path, is_preferred: bool = True) -> Home:
    return Home(str(root), PLAIN, SCOPE, "system", 0, is_preferred)


def test_the_scope_is_preferred_under_systemd(tmp_path: Path) -> None:
    assert place(tmp_path).parent == SCOPE
    assert place(tmp_path).is_delegated
    assert place(tmp_path, is_preferred=False).parent == PLAIN
    assert not place(tmp_path, is_preferred=False).is_delegated


@pytest.mark.parametrize("is_preferred", [True, False])
@pytest.mark.parametrize("there", [PLAIN, SCOPE])
def test_what_is_there_goes_on_where_it_is(tmp_path: Path, there: str, is_preferred: bool) -> None:
    (tmp_path / there).mkdir(parents=True)
    assert place(tmp_path, is_preferred).parent == there
    assert place(tmp_path, is_preferred).is_delegated == (there == SCOPE)


def test_without_systemd_there_is_only_the_plain_subtree(tmp_path: Path) -> None:
    (tmp_path / SCOPE).mkdir(parents=True)
    home = Home(str(tmp_path), PLAIN, "", "system", 0, False)
    assert (home.parent, home.is_delegated) == (PLAIN, False)


def test_a_wish_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(systemd.VARIABLE, "slice")
    with pytest.raises(InvalidValue, match="PYCTR_CGROUPS can't be 'slice'"):
        systemd.home("p")
