"""A request and an image's config make a spec, by docker's rules."""

from __future__ import annotations

import pytest

from pyctr_engine.containers import resolve
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.capabilities import DEFAULT, NAMES
from pyctr_engine.model.oci import ImageConfig
from pyctr_engine.model.spec import ContainerRequest, Mount, Resources, Security

CONFIG = ImageConfig(entrypoint=("run.sh",), cmd=("a",), env=("PATH=/bin", "X=1"))


@pytest.mark.parametrize(
    ("command", "entrypoint", "expected"),
    [
        (None, None, ("run.sh", "a")),
        (("b",), None, ("run.sh", "b")),
        (None, ("e",), ("e",)),
        (("b",), ("e",), ("e", "b")),
        (("b",), (), ("b",)),
    ],
)
def test_entrypoint_and_command(
    command: tuple[str, ...] | None, entrypoint: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    assert resolve.argv(ContainerRequest("i", command=command, entrypoint=entrypoint), CONFIG) == expected


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidValue, match="no command given"):
        resolve.argv(ContainerRequest("i"), ImageConfig())


def test_the_requests_environment_wins_and_keeps_its_place() -> None:
    assert resolve.environment(ContainerRequest("i", env=("X=2", "Y=a=b")), CONFIG) == ("PATH=/bin", "X=2", "Y=a=b")
    assert "TERM=xterm" in resolve.environment(ContainerRequest("i", tty=True), CONFIG)


def test_image_volumes_become_anonymous_ones_unless_covered() -> None:
    request = ContainerRequest("i", mounts=(Mount("bind", "/h", "/data/"),))
    assert resolve.mounts(request, ("/data", "/var/lib/x"), ("n1", "n2")) == (
        Mount("bind", "/h", "/data"),
        Mount("volume", "n1", "/var/lib/x"),
    )


def test_capabilities_are_dockers_rules() -> None:
    def kept(**security: tuple[str, ...]) -> frozenset[str]:
        return resolve.capabilities(ContainerRequest("i", security=Security(**security)), DEFAULT)  # type: ignore[arg-type]

    assert kept() == DEFAULT
    assert kept(cap_drop=("ALL",)) == frozenset()
    assert kept(cap_drop=("ALL",), cap_add=("CAP_CHOWN",)) == {"CHOWN"}
    assert kept(cap_add=("ALL",), cap_drop=("SYS_ADMIN",)) == frozenset(NAMES) - {"SYS_ADMIN"}
    assert kept(cap_add=("net_admin",)) == DEFAULT | {"NET_ADMIN"}
    assert kept(cap_drop=("chown",)) == DEFAULT - {"CHOWN"}


@pytest.mark.parametrize(
    "request_",
    [
        ContainerRequest("i", resources=Resources(memory=100)),
        ContainerRequest("i", security=Security(cap_add=("NO_SUCH",))),
        ContainerRequest("i", sysctls={"kernel.core_pattern": "x"}),
        ContainerRequest("i", sysctls={"net/../kernel.core_pattern": "x"}),
    ],
)
def test_what_cannot_be_is_refused(request_: ContainerRequest) -> None:
    with pytest.raises(InvalidValue):
        resolve.check(request_)


@pytest.mark.parametrize("wrong", [{"stop_signal": "KILLL"}, {"stop_signal": "0"}, {"working_dir": "relative"}])
def test_what_would_fail_later_is_refused_now(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        resolve.check(ContainerRequest("img", **wrong))  # type: ignore[arg-type]
    resolve.check(ContainerRequest("img", stop_signal="sigint", working_dir="/abs"))
