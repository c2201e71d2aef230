from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.network import names


def resolve(text: str, name: str) -> str:
    """What a resolver answers: the first line that has the name."""
    for line in text.splitlines():
        address, *known = line.split()
        if name in known:
            return address
    raise KeyError(name)


def test_hosts_knows_oneself_and_the_others() -> None:
    text = names.hosts_text([("10.0.0.3", ["web", "web-1"]), ("10.0.0.4", [])], "box", "10.0.0.2")
    assert [resolve(text, n) for n in ("localhost", "box", "web", "web-1")] == [
        "127.0.0.1",
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.3",
    ]
    assert "10.0.0.4" not in text


def test_without_a_network_a_container_still_knows_its_name() -> None:
    assert resolve(names.hosts_text(hostname="box"), "box") == "127.0.0.1"


def test_the_users_entries_win_over_the_networks() -> None:
    text = names.hosts_text([("10.0.0.3", ["db"])], extra_hosts=[("db", "192.0.2.1")])
    assert resolve(text, "db") == "192.0.2.1"


def test_host_gateway_stands_for_the_gateway() -> None:
    assert resolve(names.hosts_text(extra_hosts=[("up", "host-gateway")], gateway="10.0.0.1"), "up") == "10.0.0.1"
    with pytest.raises(InvalidValue):
        names.hosts_text(extra_hosts=[("up", "host-gateway")])


@pytest.mark.parametrize("name", ["a\n10.6.6.6 bank", "a b", "a#b", "", "a\x1b[2J"])
def test_a_name_cannot_write_a_line_of_its_own(name: str) -> None:
    with pytest.raises(InvalidValue):
        names.hosts_text(extra_hosts=[(name, "192.0.2.1")])


def resolv(tmp_path: Path, host: str, upstream: str | None = None) -> str:
    (tmp_path / "host").write_text(host)
    if upstream is not None:
        (tmp_path / "upstream").write_text(upstream)
    return names.resolv_conf_text(str(tmp_path / "host"), str(tmp_path / "upstream"))


def test_reachable_servers_search_and_options_are_kept(tmp_path: Path) -> None:
    text = resolv(
        tmp_path,
        "# mine\nsearch example.org\nnameserver 127.0.0.1\nnameserver 192.0.2.53\n"
        "nameserver fe80::1%eth0\noptions ndots:1",
    )
    assert text == "search example.org\noptions ndots:1\nnameserver 192.0.2.53\n"


def test_the_stub_on_loopback_is_passed_over_for_what_it_asks(tmp_path: Path) -> None:
    text = resolv(tmp_path, "nameserver 127.0.0.53\n", "nameserver 192.0.2.54\nsearch lan\n")
    assert text == "search lan\nnameserver 192.0.2.54\n"


def test_no_reachable_server_is_told_in_a_comment_and_none_invented(tmp_path: Path) -> None:
    text = resolv(tmp_path, "nameserver 127.0.0.1\nsearch lan\n")
    assert "nameserver" not in text
    search, comment = text.splitlines()
    assert search == "search lan"
    assert comment.startswith("# No name server")
    assert "127.0.0.1" in comment


def test_no_resolv_conf_at_all(tmp_path: Path) -> None:
    assert names.resolv_conf_text(str(tmp_path / "no"), str(tmp_path / "no2")).startswith("# No name server")


def test_rewriting_keeps_the_inode_and_leaves_nothing_of_a_longer_text(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    names.write_in_place(str(path), "a longer text\n")
    path.chmod(0o600)
    before = path.stat()
    names.write_in_place(str(path), "short\n")
    after = path.stat()
    assert path.read_text() == "short\n"
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_rewriting_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    os.symlink("target", tmp_path / "hosts")
    with pytest.raises(OSError, match="symbolic links"):
        names.write_in_place(str(tmp_path / "hosts"), "x")
    assert (tmp_path / "target").read_text() == "precious"
