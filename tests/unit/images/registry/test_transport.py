"""What is known of addresses, proxies and waiting times without any connection."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from pyctr_engine.images.registry.transport import is_loopback, place, proxy_for, retry_after, status


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0", "::"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("registry.example", "http://proxy:3128"),
        ("127.0.0.1", ""),
        ("localhost", ""),
        ("inside.example.org", ""),
        ("example.org", ""),
        ("notexample.org", "http://proxy:3128"),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, host: str, expected: str) -> None:
    for name in ("http_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("no_proxy", "example.org, other")
    assert proxy_for("https", host) == expected
    assert proxy_for("http", host) == ""


def test_a_place_shows_no_secrets() -> None:
    assert place("https://user:password@host:5000/v2/x?signature=y#z") == "host:5000/v2/x"


@pytest.mark.parametrize(("code", "shown"), [(503, "503 Service Unavailable"), (599, "599")])
def test_status(code: int, shown: str) -> None:
    assert status(code) == shown


def test_retry_after() -> None:
    assert retry_after({}) is None
    assert retry_after({"Retry-After": "17"}) == 17
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({"Retry-After": formatdate(time.time() - 100, usegmt=True)}) == 0
    later = retry_after({"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    assert later is not None
    assert 90 < later <= 100
