"""Users are looked up in the image's own files, which say what they like."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.runtime import users

IDS = [(0, 100000, 65536)]


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory whose ``passwd`` and ``group`` stand for /etc's."""
    read = users._records

    def elsewhere(path: str, fields: int) -> list[list[str]]:
        return read(str(tmp_path / Path(path).name), fields)

    monkeypatch.setattr(users, "_records", elsewhere)
    return tmp_path


def test_the_last_id_is_no_id(records: Path) -> None:
    """4294967295 is -1: setresuid would leave the user root."""
    (records / "passwd").write_text("evil:x:4294967295:4294967295:::\nlong:x:99999999999:1:::\nodd:x:²:1:::\n")
    for name in ("evil", "long", "odd", "4294967295", "99999999999", "²", "-1", "1_0"):
        with pytest.raises(users.UserError, match=f"no user {name} in the container's /etc/passwd"):
            users.resolve(name)


def test_an_id_outside_the_map_is_told(records: Path) -> None:
    (records / "passwd").write_text("far:x:70000:0:::\n")
    for text in ("far", "70000", "0:70000"):
        with pytest.raises(users.UserError, match="id 70000 is not among the ids that the container has"):
            users.resolve(text, IDS)
    assert users.resolve("far").uid == 70000, "in the host's user namespace every id can be had"
    assert users.resolve("1000:1000", IDS) == users.User(1000, 1000, [], "/", "")


def test_groups_that_can_t_be_had_are_left_out(records: Path) -> None:
    (records / "passwd").write_text("me:x:5:6::/home:\n")
    (records / "group").write_text("a:x:7:me\nb:x:70000:you,me\nc:x:4294967295:me\nd:x:x:me\n")
    assert users.resolve("me", IDS) == users.User(5, 6, [7], "/home", "me")


@pytest.mark.parametrize("text", ["x" * (5 << 20), ":" * 100000, "\0\n\0:\n", ""])
def test_files_that_are_no_records_are_nobody(records: Path, text: str) -> None:
    (records / "passwd").write_text(text)
    assert users.resolve("").uid == 0
