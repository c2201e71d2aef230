"""Documents from strangers, and the platforms that they are for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import EngineError, InvalidValue, NotFound
from pyctr_engine.images.platform import Platform
from pyctr_engine.images.registry.manifests import choose, digest_of
from pyctr_engine.model.oci import CONFIG, INDEX, LAYER_GZIP, MANIFEST

ARM = Platform("linux", "arm", "v7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("LINUX/ARM64/V8", Platform("linux", "arm64", "v8")),
        ("arm64", Platform("linux", "arm64")),
        ("aarch64", Platform("linux", "arm64")),
        ("linux/armhf", Platform("linux", "arm", "v7")),
        ("linux/arm/v6", Platform("linux", "arm", "v6")),
    ],
)
def test_platforms_are_read(text: str, expected: Platform) -> None:
    assert Platform.parse(text) == expected


@pytest.mark.parametrize("text", ["linux/", "/amd64", "a/b/c/d", "linux/am d64", "../x"])
def test_platforms_that_can_not_be(text: str) -> None:
    with pytest.raises(InvalidValue, match="invalid platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "rank"),
    [
        ("linux/amd64", Platform("linux", "amd64"), 0),
        ("linux/amd64", Platform("linux", "amd64", "v3"), None),
        ("linux/amd64/v3", Platform("linux", "amd64"), 2),
        ("linux/arm64", Platform("linux", "arm64", "v8"), 0),
        ("linux/arm64/v8", Platform("linux", "arm64"), 0),
        ("linux/arm", Platform("linux", "arm", "v5"), 2),
        ("linux/arm/v6", Platform("linux", "arm", "v7"), None),
        ("linux/s390x", Platform("linux", "s390x"), 0),
        ("linux/amd64", Platform("windows", "amd64"), None),
    ],
)
def test_what_runs_where(wanted: str, offered: Platform, rank: int | None) -> None:
    assert Platform.parse(wanted).rank(offered) == rank


def descriptor(data: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": MANIFEST, "digest": digest_of(data), "size": len(data), **more}


def manifest(number: int) -> bytes:
    blob = {"mediaType": LAYER_GZIP, "digest": digest_of(b"x"), "size": number}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {**blob, "mediaType": CONFIG}, "layers": [blob]}
    return json.dumps(document).encode()


def chosen(platform: Platform, *offered: dict[str, str] | None) -> int:
    """Which entry of an index is taken."""
    manifests = {digest_of(manifest(number)): manifest(number) for number in range(len(offered))}
    entries = [
        descriptor(data, **({"platform": place} if place else {}))
        for data, place in zip(manifests.values(), offered, strict=True)
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()

    def get(reference: str) -> tuple[bytes, str, str]:
        return (manifests.get(reference, index), "", "")

    return choose("x", get, "latest", platform).manifest.layers[0].size


def test_the_best_variant_is_taken() -> None:
    places: list[dict[str, str] | None] = [
        {"os": "linux", "architecture": "arm", "variant": variant} for variant in ("v5", "v6", "v7", "v8")
    ]
    assert chosen(ARM, *places) == 2
    assert chosen(ARM, *places[:2]) == 1
    assert chosen(ARM, None, *places[:1]) == 1, "one without a platform is the last resort"
    assert chosen(ARM, None) == 0
    with pytest.raises(NotFound, match="x is not there for linux/arm/v7"):
        chosen(ARM, places[3], {"os": "unknown", "architecture": "unknown"})


def test_indexes_in_circles_end() -> None:
    """An index can't name itself by digest; but a tag's registry may answer anything."""
    loop = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(b"x")]}).encode()
    with pytest.raises(EngineError, match="sent a wrong manifest"):
        choose("x", lambda _reference: (loop, "", ""), "latest", ARM)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "platform", "digest", "size", "annotations"]
)
LIKELY = st.sampled_from([2, 1, MANIFEST, INDEX, CONFIG, LAYER_GZIP, digest_of(b"x"), 5, [], {}, ""])
DOCUMENT = st.recursive(
    LIKELY | JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=20
)


@given(st.binary(max_size=50) | DOCUMENT.map(lambda document: json.dumps(document).encode()), st.text(max_size=10))
def test_any_document_is_read_or_refused(data: bytes, media_type: str) -> None:
    try:
        found = choose("x", lambda _reference: (data, media_type, ""), "latest", ARM)
    except EngineError as error:
        assert error.message
    else:
        assert found.manifest.layers
