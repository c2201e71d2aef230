"""Which mounts lie below a path."""

from __future__ import annotations

from pyctr_engine.runtime import trees


def test_mounts_below_the_root_are_those_of_the_mount_table_parents_first() -> None:
    found = trees.mounts_below("/")
    assert "/proc" in found
    assert "/" not in found
    for index, path in enumerate(found):
        assert not [later for later in found[index + 1 :] if path.startswith(later + "/")]
    assert len(set(found)) == len(found)


def test_only_what_is_below_counts() -> None:
    assert "/proc" not in trees.mounts_below("/proc")
    assert trees.mounts_below("/pro") == []


def test_octal_escapes_are_read() -> None:
    assert trees._unescape(rb"/a\040b\134c") == rb"/a b\c"
