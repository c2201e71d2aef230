"""Files that are kept open, and what happens when descriptors run out."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.linux import kept
from pyctr_engine.linux.traffic import NONE, Traffic


@pytest.fixture(autouse=True)
def same_limits() -> Iterator[None]:
    """Limits of this process as they were."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _open() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("left", [0, 1])
def test_a_file_says_when_it_says_something_new(tmp_path: Path, left: int) -> None:
    path = tmp_path / "file"
    path.write_text("1\n")
    before = _open()
    file = kept.File(str(path), kept.Descriptors(left))
    assert [file.changed(), file.changed(), file.data] == [True, False, b"1\n"]
    path.write_text("22\n")
    assert file.changed()
    assert kept.number(file.data) == 22
    assert len(_open() - before) == left
    file.close()
    assert _open() == before
    assert not file.changed(), "it is opened again, and says the same"


def test_a_file_that_is_missing_is_asked_for_once(tmp_path: Path) -> None:
    file = kept.File(str(tmp_path / "file"), kept.Descriptors(1))
    assert (file.changed(), file.data, file.is_missing) == (False, b"", True)
    (tmp_path / "file").write_text("1")
    assert not file.changed()


def test_the_soft_limit_is_raised_and_low_numbers_are_left_to_others(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    descriptors = kept.allowed()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 1 << 16) > 4096
    assert descriptors.left > 2048
    before = _open()
    (tmp_path / "file").write_text("1")
    file = kept.File(str(tmp_path / "file"), descriptors)
    file.changed()
    assert all(int(fd) >= 1024 for fd in _open() - before)
    file.close()


def test_when_descriptors_run_out_files_are_read_without_keeping_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("7")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    descriptors = kept.Descriptors(10_000)
    descriptors.floor = 1020
    files = [kept.File(str(tmp_path / "file"), descriptors) for _ in range(20)]
    assert [file.changed() for file in files] == [True] * 20
    assert [file.changed() for file in files] == [False] * 20
    for file in files:
        file.close()


def test_values_by_their_keys() -> None:
    data = b"\ntotal_rss 5\nrss 7\nmax max\n"
    assert kept.value(data, b"\nrss ") == 7
    assert kept.value(data, b"\nnone ") is None
    assert kept.number(b"max\n") is None


def test_what_an_interface_has_carried() -> None:
    received, sent, packets_in, packets_out = Traffic().of("lo")
    assert (received, packets_in) == (sent, packets_out), "what goes in at lo comes out"
    assert Traffic().of("no-such-one") == NONE
