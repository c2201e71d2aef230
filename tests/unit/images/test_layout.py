"""The layout on disk: names move, things are whole or absent, locks keep collectors and writers apart."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pyctr_engine.errors import ImageFormatError, StoreError
from pyctr_engine.images.layout import BlobWriter, Layout, entry_name, give_name, named, write_file
from pyctr_engine.model.oci import MANIFEST, Descriptor

ONE = Descriptor(MANIFEST, "sha256:" + "1" * 64, 10)
TWO = Descriptor(MANIFEST, "sha256:" + "2" * 64, 10)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "oci"))
    layout.ensure()
    return layout


def names(entries: list[Descriptor]) -> list[tuple[str, str]]:
    return [(entry.digest[7], entry_name(entry)) for entry in entries]


def test_a_name_moves_and_the_loser_stays_unnamed() -> None:
    entries: list[Descriptor] = []
    give_name(entries, named(ONE, "a"))
    give_name(entries, named(ONE, "b"))
    give_name(entries, named(TWO, "a"))
    assert names(entries) == [("1", "b"), ("2", "a")]
    give_name(entries, named(TWO, "b"))
    assert names(entries) == [("2", "a"), ("1", ""), ("2", "b")]
    give_name(entries, named(ONE, "c"))
    assert names(entries) == [("2", "a"), ("2", "b"), ("1", "c")]
    give_name(entries, named(ONE, ""))
    assert names(entries) == [("2", "a"), ("2", "b"), ("1", "c")]


def test_a_blob_is_there_under_its_digest_or_not_at_all(layout: Layout) -> None:
    data = os.urandom(3000)
    written = layout.write_bytes(data, "x")
    assert written.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert Path(layout.path(written.digest)).read_bytes() == data
    assert layout.has(written)
    with pytest.raises(RuntimeError), BlobWriter(layout) as writer:
        writer.write(b"half")
        raise RuntimeError
    with pytest.raises(ImageFormatError, match="damaged"), BlobWriter(layout) as writer:
        writer.write(b"other")
        writer.commit("x", written)
    assert os.listdir(layout.blobs) == [written.digest.removeprefix("sha256:")]


def test_an_index_keeps_what_we_do_not_know(layout: Layout) -> None:
    write_file(
        f"{layout.directory}/index.json",
        b'{"schemaVersion":2,"manifests":[],"annotations":{"a":"b"}}',
    )
    with layout.edit() as entries:
        give_name(entries, named(ONE, "a"))
    assert b'"annotations":{"a":"b"}' in Path(layout.directory, "index.json").read_bytes()
    assert layout.entries() == [named(ONE, "a")]


def test_an_exception_changes_nothing(layout: Layout) -> None:
    with pytest.raises(RuntimeError), layout.edit() as entries:
        give_name(entries, named(ONE, "a"))
        raise RuntimeError
    assert layout.entries() == []


@pytest.mark.parametrize(
    "index", [b"", b"[]", b"{", b'{"manifests":1}', b'{"manifests":[{"digest":"x"}]}', b"[" * 10000]
)
def test_a_damaged_index_is_a_clear_error(layout: Layout, index: bytes) -> None:
    write_file(f"{layout.directory}/index.json", index)
    with pytest.raises((StoreError, ImageFormatError)):
        layout.entries()


def test_a_missing_blob_is_a_clear_error(layout: Layout) -> None:
    with pytest.raises(StoreError) as missing:
        layout.read_json(ONE.digest)
    assert "system check" in missing.value.hint


def test_nothing_is_collected_while_somebody_adds(layout: Layout) -> None:
    with layout.adding(), layout.adding(), layout.collecting() as alone:
        assert not alone
    with layout.collecting() as alone:
        assert alone
