"""Which images `up` and `pull` fetch, by the services' pull_policy."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import InvalidValue, NotFound
from pyctr_engine.stacks.reconcile import pull, up
from tests.unit.stacks.conftest import StackOf
from tests.unit.stacks.engines import IMAGE_ID, MemoryEngine

OTHER = "sha256:" + "2" * 64


@pytest.fixture
def engine() -> MemoryEngine:
    """Knows the image x, and a registry that has a newer x, and y."""
    engine = MemoryEngine()
    engine.registry = {"x": OTHER, "y": OTHER}
    return engine


def pulled(engine: MemoryEngine) -> list[str]:
    return sorted(name for what, name in engine.calls if what == "pull")


@pytest.mark.parametrize(
    ("policy", "override", "expected"),
    [("missing", "", ["y"]), ("if_not_present", "", ["y"]), ("always", "", ["x", "y"]), ("always", "missing", ["y"]),
     ("never", "always", ["x", "y"])],
)  # fmt: skip
def test_what_up_pulls(
    engine: MemoryEngine, stack_of: StackOf, policy: str, override: str, expected: list[str]
) -> None:
    text = f"services: {{a: {{image: x, pull_policy: {policy}}}, b: {{image: y, pull_policy: {policy}}}}}"
    up(engine, stack_of(text), pull=override)
    assert pulled(engine) == expected
    assert ("start", "shop-a-1") in engine.calls


def test_an_image_of_two_services_is_pulled_once(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of("services: {a: {image: y}, b: {image: y}}"))
    assert pulled(engine) == ["y"]


def test_never_means_never(engine: MemoryEngine, stack_of: StackOf) -> None:
    with pytest.raises(NotFound, match="service b: there is no image y"):
        up(engine, stack_of("services: {a: {image: x}, b: {image: y, pull_policy: never}}"))
    assert engine.calls == []
    with pytest.raises(NotFound):
        up(engine, stack_of("services: {b: {image: y}}"), pull="never")


def test_what_is_newer_in_the_registry_makes_a_new_container(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of("services: {a: {image: x}}"))
    assert engine.container("shop-a-1").spec.image_id == IMAGE_ID
    (action,) = up(engine, stack_of("services: {a: {image: x}}"), pull="always")
    assert (action.kind, action.reason) == ("recreate", "image changed")


def test_pull_fetches_all_but_never(engine: MemoryEngine, stack_of: StackOf) -> None:
    pull(engine, stack_of("services: {a: {image: x}, b: {image: y, pull_policy: never}, c: {image: pyctr/base}}"))
    assert engine.calls == [("pull", "x")]


def test_an_unknown_policy_is_refused(engine: MemoryEngine, stack_of: StackOf) -> None:
    with pytest.raises(InvalidValue, match="no pull policy 'sometimes'"):
        up(engine, stack_of("services: {a: {image: x}}"), pull="sometimes")
