"""Which ids an ordinary user has, from files and maps."""

from __future__ import annotations

from pathlib import Path

from pyctr_engine.house import ids


def test_ranges_are_found_by_name_and_by_number(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("# a comment\nother:100000:65536\nme:165536:65536\n1000:300000:10\nme:nonsense:5\nme:5:0\n")
    assert ids.subordinate(str(file), 1000, "me") == [(165536, 65536), (300000, 10)]
    assert ids.subordinate(str(tmp_path / "none"), 1000, "me") == []


def test_the_user_is_0_and_the_others_follow() -> None:
    assert ids.extents(1000, [(100000, 65536), (300000, 10)]) == [
        (0, 1000, 1),
        (1, 100000, 65536),
        (65537, 300000, 10),
    ]


def test_a_range_that_was_given_twice_counts_once() -> None:
    assert ids.extents(1000, [(100000, 10), (100005, 10), (200000, 5)]) == [
        (0, 1000, 1),
        (1, 100000, 10),
        (11, 200000, 5),
    ]


def test_what_both_maps_have_in_pieces_that_are_one_in_each(tmp_path: Path) -> None:
    (tmp_path / "uid_map").write_text("0 1000 1\n1 100000 65536\n65537 300000 10\n")
    (tmp_path / "gid_map").write_text("0 100 1\n1 100000 1000\n1001 200000 70000\n")
    assert ids.available(str(tmp_path)) == [(0, 1), (1, 1000), (1001, 64536), (65537, 10)]


def test_a_hole_in_a_map_ends_it(tmp_path: Path) -> None:
    (tmp_path / "uid_map").write_text("0 1000 1\n5 100000 100\n")
    (tmp_path / "gid_map").write_text("0 1000 1\n1 100000 100\n")
    assert ids.available(str(tmp_path)) == [(0, 1)]


def test_arguments_of_newuidmap() -> None:
    assert ids.as_arguments([(0, 1000, 1), (1, 100000, 65536)]) == ["0", "1000", "1", "1", "100000", "65536"]


def test_the_remedy_takes_ids_that_nobody_has() -> None:
    first = int(ids.remedy("me").split("--add-subuids ")[1].partition("-")[0])
    for path in ("/etc/subuid", "/etc/subgid"):
        try:
            lines = Path(path).read_text().split()
        except FileNotFoundError:
            continue
        for line in lines:
            _, begin, count = line.split(":")
            assert int(begin) + int(count) <= first
