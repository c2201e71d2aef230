"""Stacks of real containers: up, up again, edited, down; and the examples as they are in the repository."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError
from pyctr_engine.model.status import State
from pyctr_engine.stacks.load import load
from tests import leaks
from tests.conftest import end_spawner, own_paths

pytestmark = pytest.mark.root

EXAMPLES = Path(__file__).parents[3] / "stacks"
TEXT = """
name: trial
x-base: &base {image: pyctr/base, init: true}
services:
  writer:
    <<: *base
    command: ["sh", "-c", "echo $$WORD > /data/word; sleep 1000"]
    environment:
      WORD: ${WORD:-hello}
    volumes: ["data:/data"]
  reader:
    <<: *base
    command: ["sh", "-c", "sleep 1000"]
    volumes: ["data:/data:ro"]
    depends_on: [writer]
    scale: 2
volumes: {data: }
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine, so that the built-in image is made once; nothing of it may be left on the machine."""
    with own_paths(tmp_path_factory.mktemp("stacks")) as paths:
        before = leaks.held(paths)
        engine = Engine(paths)
        yield engine
        engine.close()
        end_spawner(paths)
        leaked = leaks.settled(paths, before)
        assert not leaked, f"left behind: {leaked}"


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    """The engine without containers and volumes, before and after."""
    yield shared
    for container in shared.containers():
        shared.remove(container.id, force=True, volumes=True)
    for volume in shared.volumes():
        shared.remove_volume(volume["name"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(found: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not found():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def ids(engine: Engine) -> dict[str, str]:
    return {container.name: container.id for container in engine.containers()}


def said(engine: Engine, name: str, words: str) -> bool:
    return any(words in line.text for line in engine.logs(name))


def test_several_ups_at_once_make_one_stack(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(TEXT)
    others = [Engine(engine.paths) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(other.up, load(str(file), env={})) for other in others]:
            done.result()
    for other in others:
        other.close()
    assert [(item.name, item.running, item.total) for item in engine.stacks()] == [("trial", 3, 3)]


def test_a_stack_that_never_came_to_be_has_no_name(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text("name: never\nservices: {a: {image: no/such}}")
    with pytest.raises(EngineError, match="there is no image no/such"):
        engine.up(load(str(file), env={}))
    assert "never" not in [item.name for item in engine.stacks()]


def test_the_life_of_a_stack(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(TEXT)

    engine.up(load(str(file), env={}))
    first = ids(engine)
    assert sorted(first) == ["trial-reader-1", "trial-reader-2", "trial-writer-1"]
    assert {container.state for container in engine.containers()} == {State.RUNNING}
    assert [(item.name, item.running, item.total) for item in engine.stacks()] == [("trial", 3, 3)]

    assert {action.kind for action in engine.up(load(str(file), env={}))} == {"keep"}
    assert ids(engine) == first

    actions = engine.up(load(str(file), env={"WORD": "other"}))
    assert [(action.kind, action.reason) for action in actions if action.kind != "keep"] == [
        ("recreate", "environment changed")
    ]
    second = ids(engine)
    assert {name for name in first if first[name] != second[name]} == {"trial-writer-1"}

    engine.stop("trial-reader-2")
    actions = engine.up(load(str(file), env={"WORD": "other"}))
    assert [action.container for action in actions if action.kind == "start"] == ["trial-reader-2"]
    assert ids(engine) == second

    engine.down("trial")
    assert engine.containers() == []
    assert [volume["name"] for volume in engine.volumes()] == ["trial_data"]
    engine.up(load(str(file), env={}))
    engine.down("trial", volumes=True)
    assert engine.volumes() == []


def test_a_failure_names_the_service_and_leaves_the_rest(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(TEXT.replace('["sh", "-c", "sleep 1000"]', "/no/such/program"))
    with pytest.raises(EngineError, match="service reader: "):
        engine.up(load(str(file), env={}))
    assert engine.container("trial-writer-1").state is State.RUNNING
    file.write_text(TEXT)
    engine.up(load(str(file), env={}))
    assert {container.state for container in engine.containers()} == {State.RUNNING}
    engine.down("trial", volumes=True)


def test_hello(engine: Engine) -> None:
    port = free_port()
    stack = load(str(EXAMPLES / "hello.yaml"), env={"HELLO_PORT": str(port), "PAUSE": "0.01"})
    engine.up(stack)
    assert until(lambda: said(engine, "hello-client-1", "Hello from"))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
        assert answer.read().startswith(b"Hello from ")
    assert until(lambda: any(change.path == "/data/result-10" for change in engine.changes("hello-worker-1")))
    assert {action.kind for action in engine.up(stack)} == {"keep"}
    engine.down("hello")


def test_shop(engine: Engine) -> None:
    port = free_port()
    env = {"SHOP_PORT": str(port), "COMPOSE_PROFILES": "guarded", "AMOUNT": "7"}
    stack = load(str(EXAMPLES / "shop.yaml"), env=env)
    engine.up(stack)
    assert engine.container("shop-stock-1").status.exit_code == 0
    assert until(lambda: said(engine, "shop-customer-2", "bought"))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
        assert sorted(json.load(answer)) == ["apples", "pears", "plums"]
    assert {action.kind for action in engine.up(stack)} == {"keep"}
    more = engine.up(load(str(EXAMPLES / "shop.yaml"), env={**env, "CUSTOMERS": "3"}))
    assert [action.container for action in more if action.kind != "keep"] == ["shop-customer-3"]
    engine.down("shop", volumes=True)
    assert engine.volumes() == []


def test_limits(engine: Engine) -> None:
    engine.up(load(str(EXAMPLES / "limits.yaml"), env={}))
    assert until(lambda: engine.stats("limits-busy-1").throttled_periods > 3)
    assert engine.stats("limits-busy-1").cpu_limit == 0.3
    assert engine.stats("limits-breath-1").memory_limit == 96 << 20
    assert engine.stats("limits-crowd-1").pids_limit == 20
    assert until(lambda: said(engine, "limits-crowd-1", "no room for another"))
    assert engine.container("limits-crowd-1").state is State.RUNNING
    engine.down("limits")


HEALTHY = """
name: trial
services:
  slow:
    image: pyctr/base
    command: ["sh", "-c", "sleep 0.7; touch /ready; exec sleep 1000"]
    healthcheck: {test: "test -e /ready", interval: 100ms, retries: 100}
  needs:
    image: pyctr/base
    command: [sleep, "1000"]
    depends_on: {slow: {condition: service_healthy}}
"""


def test_what_depends_on_health_waits_for_it(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(HEALTHY)
    told: list[str] = []
    engine.up(load(str(file), env={}), lambda step: told.append(f"{step.subject} {step.text}"))
    slow, needs = engine.container("trial-slow-1"), engine.container("trial-needs-1")
    assert slow.status.health == "healthy"
    assert needs.status.started_at - slow.status.started_at > 0.7
    assert "trial-slow-1 waiting to be healthy" in told
    file.write_text(HEALTHY.replace("test -e /ready", "exit 1").replace("retries: 100", "retries: 1"))
    with pytest.raises(EngineError, match="service slow: trial-slow-1 is unhealthy"):
        engine.up(load(str(file), env={}))
    file.write_text(HEALTHY.replace("healthcheck:", "x-healthcheck:"))
    with pytest.raises(EngineError, match="has no health check"):
        engine.up(load(str(file), env={}))
