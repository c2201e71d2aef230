"""References: docker's rules for what people type."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "familiar", "canonical"),
    [
        ("nginx", "nginx:latest", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "nginx:1.27", "docker.io/library/nginx:1.27"),
        ("library/nginx", "nginx:latest", "docker.io/library/nginx:latest"),
        ("docker.io/nginx", "nginx:latest", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "nginx:latest", "docker.io/library/nginx:latest"),
        ("pyctr/base", "pyctr/base:latest", "docker.io/pyctr/base:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("host:5000/app", "host:5000/app:latest", "host:5000/app:latest"),
        ("host.example/a/b/c:T_1.x-", "host.example/a/b/c:T_1.x-", "host.example/a/b/c:T_1.x-"),
        ("UPPER/app:1", "UPPER/app:1", "UPPER/app:1"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"nginx@{DIGEST}", f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        ("a__b/c-d.e", "a__b/c-d.e:latest", "docker.io/a__b/c-d.e:latest"),
        ("library/a/b", "library/a/b:latest", "docker.io/library/a/b:latest"),
    ],
)
def test_reads_what_docker_reads(text: str, familiar: str, canonical: str) -> None:
    reference = Reference.parse(text)
    assert reference.familiar == familiar
    assert reference.canonical == canonical
    assert Reference.parse(familiar) == reference
    assert Reference.parse(canonical) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "Nginx",
        "a//b",
        "/a",
        "a/",
        "a b",
        "a:b:c",
        "nginx:",
        "nginx:-x",
        "nginx:" + "t" * 129,
        "nginx@sha256:abc",
        "nginx@",
        "-a/b",
        "a/-b",
        "a___b",
        "a..b",
        "../a",
        "host:port/a",
        "a/" + "b" * 300,
        "a" * 64,
        "a\nb",
        "a\x1b[2J",
        "ä",
    ],
)
def test_refuses_what_docker_refuses(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Reference.parse(text)
    assert refused.value.hint
    assert "\x1b" not in refused.value.message
