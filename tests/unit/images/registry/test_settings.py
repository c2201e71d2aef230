"""The administrator's file: what it may say, and how what it may not is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.errors import EngineError, InvalidValue
from pyctr_engine.images.registry import settings
from pyctr_engine.images.registry.settings import Host, Settings


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(settings.VARIABLE, str(tmp_path / "registries.toml"))
    return tmp_path / "registries.toml"


def test_all_of_it(file: Path) -> None:
    file.write_text(
        'attempts = 3\ndelay = 1\ntimeout = 2.5\nparallel = 2\ncertificates = ["/c"]\n'
        '[registry."docker.io"]\nmirrors = ["https://m"]\nblocked = true\n'
        '[registry."lan:5000"]\ninsecure = true\nca = "a"\ncertificate = "b"\nkey = "c"\n'
    )
    found = settings.load()
    assert found == Settings(3, 1.0, 2.5, 2, ("/c",), found.hosts)
    assert found.host("docker.io") == Host(mirrors=("https://m",), blocked=True)
    assert found.host("lan:5000") == Host(insecure=True, ca="a", certificate="b", key="c")
    assert found.host("other") == Host()


def test_a_file_that_is_named_must_be_there(file: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the registries' settings: no such file"):
        settings.load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attempts = ", "is not TOML"),
        ("attempts = 0", "attempts must be more than 0, not 0"),
        ("attempts = true", "attempts can't be True"),
        ("attempts = 1.5", "attempts can't be 1.5"),
        ("retries = 1", "there is no setting retries"),
        ("certificates = 'x'", "certificates can't be 'x'"),
        ("certificates = [1]", "certificates can't be"),
        ("registry = 1", "registry can't be 1"),
        ('registry."x" = 1', 'registry."x" can\'t be 1'),
        ('[registry."x"]\nmirror = "y"', 'there is no setting registry."x".mirror'),
        ('[registry."x"]\ninsecure = "yes"', "registry.\"x\".insecure can't be 'yes'"),
    ],
)
def test_what_it_may_not_say(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidValue) as caught:
        settings.load()
    assert message in caught.value.message
    assert str(file) in caught.value.message
