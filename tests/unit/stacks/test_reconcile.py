"""`up` and `down` against an engine in memory."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from pyctr_engine.errors import CommandError, Conflict, EngineError, NotFound, StartError
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.stack import Stack
from pyctr_engine.model.status import ContainerStatus, State
from pyctr_engine.stacks.reconcile import down, up
from tests.unit.stacks.conftest import StackOf
from tests.unit.stacks.engines import MemoryEngine, brought_up, container

TEXT = """
services:
  web: {image: x, scale: 2, depends_on: [app]}
  app: {image: x, depends_on: [db], environment: {A: 1}}
  db: {image: x, volumes: ["data:/data", "theirs:/theirs"]}
  alone: {image: x}
volumes: {data: , theirs: {external: true}}
"""


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def kinds(engine: MemoryEngine, stack: Stack) -> set[str]:
    return {action.kind for action in up(engine, stack)}


def position(engine: MemoryEngine, what: str, name: str) -> int:
    return engine.calls.index((what, name))


def test_up_starts_all_in_order(engine: MemoryEngine, stack_of: StackOf) -> None:
    assert kinds(engine, stack_of(TEXT)) == {"create"}
    assert {item.name: item.state for item in engine.containers()} == dict.fromkeys(
        ("shop-web-1", "shop-web-2", "shop-app-1", "shop-db-1", "shop-alone-1"), State.RUNNING
    )
    assert position(engine, "start", "shop-db-1") < position(engine, "create", "shop-app-1")
    assert position(engine, "start", "shop-app-1") < position(engine, "create", "shop-web-2")


def test_up_twice_changes_nothing(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of(TEXT))
    engine.calls.clear()
    assert kinds(engine, stack_of(TEXT)) == {"keep"}
    assert engine.calls == []


def test_up_after_an_edit_recreates_only_what_changed(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of(TEXT))
    engine.calls.clear()
    up(engine, stack_of(TEXT.replace("A: 1", "A: 2")))
    assert engine.calls == [(what, "shop-app-1") for what in ("stop", "remove", "create", "start")]
    assert engine.container("shop-app-1").spec.request.env == ("A=2",)


def test_up_starts_what_was_stopped(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of(TEXT))
    engine.stop("shop-alone-1")
    engine.calls.clear()
    up(engine, stack_of(TEXT))
    assert engine.calls == [("start", "shop-alone-1")]


def test_scaling_down_removes(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of(TEXT))
    up(engine, stack_of(TEXT.replace("scale: 2", "scale: 1")))
    assert "shop-web-2" not in engine.kept
    assert "shop-web-1" in engine.kept


def test_a_failure_holds_back_its_dependents_only(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["start", "shop-app-1"] = StartError("step 3 failed", "try again")
    with pytest.raises(StartError) as caught:
        up(engine, stack_of(TEXT))
    assert caught.value.message == "service app: step 3 failed (held back by it: web)"
    assert caught.value.hint == "try again"
    running = {item.name for item in engine.containers() if item.state is State.RUNNING}
    assert running == {"shop-db-1", "shop-alone-1"}
    engine.fails.clear()
    up(engine, stack_of(TEXT))
    assert {item.state for item in engine.containers()} == {State.RUNNING}


def test_an_error_keeps_its_kind_and_exit_code(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["start", "shop-alone-1"] = CommandError("no such program: nope", exit_code=126)
    with pytest.raises(CommandError) as caught:
        up(engine, stack_of(TEXT))
    assert (str(caught.value), caught.value.exit_code) == ("service alone: no such program: nope", 126)


def test_several_failures_are_all_told(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["create", "shop-alone-1"] = Conflict("one")
    engine.fails["create", "shop-db-1"] = Conflict("two")
    with pytest.raises(Conflict) as caught:
        up(engine, stack_of(TEXT))
    assert "service alone: one" in caught.value.message
    assert "service db: two" in caught.value.message
    assert caught.value.message.endswith("(held back by it: app, web)")


def test_a_bug_is_not_dressed_up(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["create", "shop-alone-1"] = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        up(engine, stack_of(TEXT))


def test_a_missing_image_stops_everything_before_it_begins(engine: MemoryEngine, stack_of: StackOf) -> None:
    with pytest.raises(NotFound, match="service app: there is no image nope, and cannot get nope"):
        up(engine, stack_of(TEXT.replace("app: {image: x", "app: {image: nope")))
    assert engine.calls == [("pull", "nope")]


def test_the_built_in_image_may_be_made_later(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of("services: {web: {image: pyctr/base}}"))
    assert ("start", "shop-web-1") in engine.calls


class TestAnotherUpOfTheSame:
    def test_that_made_it_first_is_no_failure(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        stack = stack_of(TEXT)
        made = next(other for other in brought_up(stack) if other.name == "shop-db-1")
        engine.on["create", "shop-db-1"] = lambda: engine.kept.update({made.name: made})
        up(engine, stack)
        assert len(engine.containers()) == 5

    def test_that_started_it_first_is_no_failure(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        def start() -> None:
            with engine.lock:
                made = engine.kept["shop-db-1"]
                engine.kept["shop-db-1"] = replace(made, status=ContainerStatus(State.RUNNING))

        engine.on["start", "shop-db-1"] = start
        engine.fails["start", "shop-db-1"] = Conflict("it runs already")
        up(engine, stack_of(TEXT))
        assert {item.state for item in engine.containers()} == {State.RUNNING}

    @pytest.mark.parametrize("theirs", [{"stack": "other"}, {"config_hash": "other"}])
    def test_whose_container_is_another_is_a_conflict(
        self, engine: MemoryEngine, stack_of: StackOf, theirs: dict[str, str]
    ) -> None:
        stack = stack_of(TEXT)
        made = next(other for other in brought_up(stack) if other.name == "shop-db-1")
        alien = container(replace(made.spec.request, **theirs))
        engine.on["create", "shop-db-1"] = lambda: engine.kept.update({alien.name: alien})
        with pytest.raises(Conflict, match="the name shop-db-1 is taken"):
            up(engine, stack)


def test_a_dependency_that_is_not_required_holds_nothing_back(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["start", "shop-db-1"] = StartError("no")
    text = "services: {web: {image: x, depends_on: {db: {required: false}}}, db: {image: x}}"
    with pytest.raises(StartError):
        up(engine, stack_of(text))
    assert engine.container("shop-web-1").state is State.RUNNING


class TestCompletion:
    TEXT = (
        "services: {job: {image: x}, web: {image: x, depends_on: {job: {condition: service_completed_successfully}}}}"
    )

    def test_is_waited_for(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        engine.exits["shop-job-1"] = 0
        up(engine, stack_of(self.TEXT))
        assert position(engine, "start", "shop-job-1") < position(engine, "create", "shop-web-1")
        engine.calls.clear()
        assert kinds(engine, stack_of(self.TEXT)) == {"keep"}
        assert engine.calls == []

    def test_has_to_be_a_success(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        engine.exits["shop-job-1"] = 3
        with pytest.raises(Conflict) as caught:
            up(engine, stack_of(self.TEXT))
        message = "service job: shop-job-1 did not complete: it ended with exit code 3 (held back by it: web)"
        assert caught.value.message == message
        assert "shop-web-1" not in engine.kept

    def test_ends_later(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        seen: list[str] = []

        def watch(step: Progress) -> None:
            seen.append(f"{step.subject} {step.text}")
            if seen[-1] == "shop-job-1 started":
                threading.Timer(0.2, end).start()

        def end() -> None:
            engine.exits["shop-job-1"] = 0
            engine.start("shop-job-1")

        up(engine, stack_of(self.TEXT), watch)
        assert seen[-1] == "shop-web-1 started"


def test_what_can_go_on_at_once_does(engine: MemoryEngine, stack_of: StackOf) -> None:
    barrier = threading.Barrier(8, timeout=20)
    for number in range(1, 9):
        engine.on["start", f"shop-sleeper-{number}"] = lambda: (barrier.wait(), None)[1]
    up(engine, stack_of("services: {sleeper: {image: x, scale: 8}}"))
    assert len(engine.kept) == 8


def test_an_interrupt_leaves_no_container_half_made(engine: MemoryEngine, stack_of: StackOf) -> None:
    up(engine, stack_of(TEXT))

    def interrupt(step: Progress) -> None:
        if step.text == "stopped":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up(engine, stack_of(TEXT.replace("image: x,", "image: x, command: new,")), interrupt)
    engine.calls.clear()
    up(engine, stack_of(TEXT.replace("image: x,", "image: x, command: new,")))
    assert {item.state for item in engine.containers()} == {State.RUNNING}
    assert len(engine.kept) == 5


def test_progress_tells_every_step(engine: MemoryEngine, stack_of: StackOf) -> None:
    stack = stack_of("services: {web: {image: x}}")
    seen: list[tuple[str, bool]] = []
    up(engine, stack, lambda step: seen.append((step.text, step.finished)))
    assert seen == [("creating", False), ("created", False), ("starting", False), ("started", True)]
    seen.clear()
    up(engine, stack, lambda step: seen.append((step.text, step.finished)))
    assert seen == [("running", True)]
    seen.clear()
    down(engine, "shop", progress=lambda step: seen.append((step.text, step.finished)))
    assert seen == [("stopping", False), ("stopped", False), ("removing", False), ("removed", True)]


def test_progress_tells_of_failures(engine: MemoryEngine, stack_of: StackOf) -> None:
    engine.fails["create", "shop-web-1"] = Conflict("taken")
    seen: list[Progress] = []
    with pytest.raises(Conflict):
        up(engine, stack_of("services: {web: {image: x}}"), seen.append)
    assert seen[-1] == Progress("shop-web-1", "failed: taken", finished=True)


class TestDown:
    def test_removes_all_of_the_stack_dependents_first(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        engine.calls.clear()
        actions = down(engine, "shop")
        assert engine.kept == {}
        assert {action.kind for action in actions} == {"remove"}
        assert position(engine, "remove", "shop-web-2") < position(engine, "stop", "shop-app-1")
        assert position(engine, "remove", "shop-app-1") < position(engine, "stop", "shop-db-1")
        assert engine.volumes == {"shop_data", "theirs"}

    def test_takes_services_that_the_file_forgot(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        up(engine, stack_of("services: {alone: {image: x}}"))
        assert len(engine.kept) == 5
        down(engine, "shop")
        assert engine.kept == {}

    def test_leaves_other_stacks_alone(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        assert down(engine, "sho") == []
        assert len(engine.kept) == 5

    def test_with_volumes_removes_the_stack_s_own(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        engine.volumes.add("shop_old")
        down(engine, "shop", volumes=True, declared=("shop_old", "shop_never_made"))
        assert engine.volumes == {"theirs"}
        assert ("remove volumes", "shop-db-1") in engine.calls

    def test_twice_is_fine(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        down(engine, "shop")
        assert down(engine, "shop", volumes=True) == []

    def test_one_failure_keeps_the_rest_going(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of(TEXT))
        engine.fails["stop", "shop-app-1"] = EngineError("it hangs")
        with pytest.raises(EngineError, match="service app: it hangs"):
            down(engine, "shop")
        assert list(engine.kept) == ["shop-app-1"]

    def test_what_removed_itself_meanwhile_is_gone(self, engine: MemoryEngine, stack_of: StackOf) -> None:
        up(engine, stack_of("services: {web: {image: x}}"))
        engine.on["stop", "shop-web-1"] = lambda: (engine.kept.pop("shop-web-1"), None)[1]
        down(engine, "shop")
        assert engine.kept == {}
