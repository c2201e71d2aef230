"""Unpacked layers: chain ids, short links, whole or absent."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import StoreError
from pyctr_engine.images.extractor import runs
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.store import merge_runs


def publish(store: LayerStore, chain: str, text: str = "x") -> Layer:
    with store.staged() as aside:
        Path(aside, "fs", "file").write_text(text)
        return store.publish(aside, Layer(chain, "sha256:" + chain, "", 1, 1, ((70000, 2),)))


def test_chain_ids_as_the_specification_says() -> None:
    one, two, three = ("sha256:" + hashlib.sha256(bytes([n])).hexdigest() for n in range(3))
    second = hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    third = hashlib.sha256(f"sha256:{second} {three}".encode()).hexdigest()
    assert chain_ids([one, two, three]) == [one.removeprefix("sha256:"), second, third]
    assert chain_ids([]) == []


def test_a_layer_is_found_with_its_link(tmp_path: Path) -> None:
    store = LayerStore(str(tmp_path))
    chain = "ab" * 32
    layer = publish(store, chain)
    assert store.read(chain) == layer
    assert layer.ids == ((70000, 2),)
    assert len(layer.link) <= 8
    assert (tmp_path / layer.link / "file").read_text() == "x"
    assert store.chains() == [chain]
    assert store.leftovers() == []


def test_links_grow_when_chains_begin_alike(tmp_path: Path) -> None:
    store = LayerStore(str(tmp_path))
    links = {publish(store, "ab" * 20 + f"{n:02x}" * 12).link for n in range(5)}
    assert len(links) == 5


def test_the_second_of_two_that_unpack_the_same_uses_the_first(tmp_path: Path) -> None:
    store = LayerStore(str(tmp_path))
    first = publish(store, "cd" * 32, "first")
    assert publish(store, "cd" * 32, "second") == first
    assert (tmp_path / first.link / "file").read_text() == "first"
    assert store.leftovers() == []
    assert len(os.listdir(tmp_path / "l")) == 1


def test_removal_takes_the_link_along(tmp_path: Path) -> None:
    store = LayerStore(str(tmp_path))
    publish(store, "cd" * 32)
    store.remove("cd" * 32)
    store.remove("cd" * 32)
    assert os.listdir(tmp_path) == ["l"]
    assert os.listdir(tmp_path / "l") == []


def test_a_damaged_record_is_a_clear_error(tmp_path: Path) -> None:
    store = LayerStore(str(tmp_path))
    publish(store, "cd" * 32)
    (tmp_path / ("cd" * 32) / "layer.json").write_text("{}")
    with pytest.raises(StoreError, match=r"layer\.json"):
        store.read("cd" * 32)


@given(st.sets(st.integers(65536, 66000)), st.sets(st.integers(65536, 66000)))
def test_runs_hold_all_ids_and_no_others(one: set[int], other: set[int]) -> None:
    merged = merge_runs(sorted(runs(one) + runs(other)))
    assert {number for first, count in merged for number in range(first, first + count)} == one | other
    assert all(a + n < b for (a, n), (b, _) in itertools.pairwise(merged))
