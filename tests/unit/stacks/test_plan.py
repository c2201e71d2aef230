"""Desired × actual → actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount
from pyctr_engine.model.stack import Action, Stack
from pyctr_engine.model.status import Container, State
from pyctr_engine.stacks.load import load
from pyctr_engine.stacks.plan import plan
from tests.unit.stacks.engines import ANONYMOUS, IMAGE_ID, brought_up, container

TEXT = """
services:
  web: {image: x, scale: 2, depends_on: [db]}
  db: {image: x, environment: {A: 1}, volumes: ["data:/data"]}
volumes: {data: }
"""

StackOf = Callable[[str], Stack]


@pytest.fixture
def stack_of(tmp_path: Path) -> StackOf:
    def stack_of(text: str) -> Stack:
        file = tmp_path / "s.yaml"
        file.write_text(text)
        return load(str(file), name="shop", env={})

    return stack_of


def steps(stack: Stack, containers: list[Container], image_id: str = IMAGE_ID) -> list[tuple[str, str, str]]:
    return [(step.kind, step.container, step.reason) for step in plan(stack, containers, {"x": image_id})]


def test_everything_is_created_in_order(stack_of: StackOf) -> None:
    stack = stack_of(TEXT)
    actions = plan(stack, [], {"x": IMAGE_ID})
    assert [(step.kind, step.container) for step in actions] == [
        ("create", "shop-db-1"),
        ("create", "shop-web-1"),
        ("create", "shop-web-2"),
    ]
    assert actions[2].request == replace(stack.services[1].request, name="shop-web-2", number=2)


def test_what_is_as_it_should_be_is_kept(stack_of: StackOf) -> None:
    stack = stack_of(TEXT)
    assert {step[0] for step in steps(stack, brought_up(stack))} == {"keep"}
    again = stack_of(TEXT.replace("{image: x, scale: 2, depends_on: [db]}", "{scale: 2, depends_on: [db], image: x}"))
    assert {step[0] for step in steps(again, brought_up(stack))} == {"keep"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("A: 1", "A: 2", "environment changed"),
        ("A: 1}", "A: 1}, command: a, restart: always", "command changed, restart changed"),
        ("data:/data", "data:/other", "volumes changed"),
        ("A: 1}", "A: 1}, mem_limit: 5m", "resources changed"),
        ("A: 1}", "A: 1}, container_name: db", "container_name changed"),
        ("A: 1}", "A: 1}, labels: [a=b]", "labels changed"),
    ],
)
def test_an_edit_recreates_that_service_only_and_says_why(stack_of: StackOf, old: str, new: str, reason: str) -> None:
    before, after = stack_of(TEXT), stack_of(TEXT.replace(old, new))
    found = steps(after, brought_up(before))
    assert found[0] == ("recreate", "shop-db-1", reason)
    assert [step[0] for step in found[1:]] == ["keep", "keep"]


def test_the_usual_limit_of_processes_is_no_reason(stack_of: StackOf) -> None:
    before, after = stack_of(TEXT), stack_of(TEXT.replace("A: 1", "A: 2"))
    there = [limited(container, 2048) for container in brought_up(before)]
    assert steps(before, there)[0][0] == "keep"
    assert steps(after, there)[0] == ("recreate", "shop-db-1", "environment changed")
    there = [limited(container, 7) for container in brought_up(before)]
    assert steps(after, there)[0][2] == "environment changed, resources changed"


def limited(container: Container, pids: int) -> Container:
    request = container.spec.request
    request = replace(request, resources=replace(request.resources, pids=pids))
    return replace(container, spec=replace(container.spec, request=request))


def test_a_newer_image_of_the_same_name_recreates(stack_of: StackOf) -> None:
    stack = stack_of(TEXT)
    found = steps(stack, brought_up(stack), image_id="sha256:" + "2" * 64)
    assert {step[::2] for step in found} == {("recreate", "image changed")}


def test_an_image_that_is_gone_disturbs_nothing(stack_of: StackOf) -> None:
    stack = stack_of(TEXT)
    assert {step.kind for step in plan(stack, brought_up(stack), {})} == {"keep"}


@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        (State.EXITED, "start", "not running"),
        (State.CREATED, "start", "never started"),
        (State.DEAD, "recreate", "it is dead"),
        (State.PAUSED, "keep", "paused"),
        (State.RESTARTING, "keep", "restarting"),
    ],
)
def test_states(stack_of: StackOf, state: State, kind: str, reason: str) -> None:
    stack = stack_of("services: {web: {image: x}}")
    there = [container(item.spec.request, state, exit_code=1) for item in brought_up(stack)]
    assert steps(stack, there) == [(kind, "shop-web-1", reason)]


def test_a_job_that_others_wait_for_is_not_done_again(stack_of: StackOf) -> None:
    text = "services:\n  job: {image: x}\n  web: {image: x, depends_on: {job: {condition: %s}}}\n"
    waited = stack_of(text % "service_completed_successfully")
    job, web = brought_up(waited)
    done = container(job.spec.request, State.EXITED, exit_code=0)
    failed = container(job.spec.request, State.EXITED, exit_code=1)
    assert steps(waited, [done, web])[0] == ("keep", "shop-job-1", "completed")
    assert steps(waited, [failed, web])[0] == ("start", "shop-job-1", "not running")
    assert steps(stack_of(text % "service_started"), [done, web])[0] == ("start", "shop-job-1", "not running")


def test_scaling_down_removes_the_highest_numbers_first(stack_of: StackOf) -> None:
    there = brought_up(stack_of("services: {web: {image: x, scale: 4}}"))
    assert steps(stack_of("services: {web: {image: x, scale: 2}}"), there) == [
        ("remove", "shop-web-4", "scaled to 2"),
        ("remove", "shop-web-3", "scaled to 2"),
        ("keep", "shop-web-1", "running"),
        ("keep", "shop-web-2", "running"),
    ]
    assert [step[0] for step in steps(stack_of("services: {web: {image: x, scale: 0}}"), there)] == ["remove"] * 4


def test_scaling_up_fills_the_gaps(stack_of: StackOf) -> None:
    stack = stack_of("services: {web: {image: x, scale: 3}}")
    there = brought_up(stack)
    assert [step[:2] for step in steps(stack, [there[0], there[2]])] == [
        ("keep", "shop-web-1"),
        ("create", "shop-web-2"),
        ("keep", "shop-web-3"),
    ]


def test_two_of_one_number_leave_the_newer(stack_of: StackOf) -> None:
    stack = stack_of("services: {web: {image: x}}")
    (one,) = brought_up(stack)
    older = container(replace(one.spec.request, name="shop-web-1-old"), created=0.5)
    assert [step[:2] for step in steps(stack, [older, one])] == [("remove", "shop-web-1-old"), ("keep", "shop-web-1")]


def test_other_stacks_are_none_of_its_business(stack_of: StackOf) -> None:
    stack = stack_of("services: {web: {image: x}}")
    other = [container(replace(item.spec.request, stack="other")) for item in brought_up(stack)]
    assert steps(stack, other) == [("create", "shop-web-1", "not there yet")]


def test_orphans_are_kept_and_named(stack_of: StackOf) -> None:
    there = brought_up(stack_of(TEXT))
    found = steps(stack_of("services: {web: {image: x, scale: 2}, db: {image: x, profiles: [p]}}"), there)
    assert ("keep", "shop-db-1", "its profile is not active") in found
    found = steps(stack_of("services: {web: {image: x, scale: 2}}"), there)
    assert found[-1] == ("keep", "shop-db-1", "no longer in the file; `down` removes it")


def test_who_shares_a_network_goes_with_it(stack_of: StackOf) -> None:
    text = "services:\n  a: {image: x, command: %s}\n  b: {image: x, network_mode: 'service:a'}\n  c: {image: x}\n"
    before, after = stack_of(text % "one"), stack_of(text % "two")
    assert steps(after, brought_up(before)) == [
        ("recreate", "shop-a-1", "command changed"),
        ("recreate", "shop-b-1", "shares the network of shop-a-1"),
        ("keep", "shop-c-1", "running"),
    ]


def test_who_shares_a_network_is_only_started_when_neither_ran(stack_of: StackOf) -> None:
    stack = stack_of("services:\n  a: {image: x}\n  b: {image: x, network_mode: 'service:a'}\n")
    a, b = (item.spec.request for item in brought_up(stack))
    stopped = [container(a, State.EXITED), container(b, State.EXITED)]
    assert [step[0] for step in steps(stack, stopped)] == ["start", "start"]
    assert [step[0] for step in steps(stack, [stopped[0], container(b)])] == ["start", "recreate"]


class TestAnonymousVolumes:
    TEXT = "services: {db: {image: x, volumes: [/data, 'named:/n'], command: %s}}\nvolumes: {named: }\n"

    def recreated(self, before: Stack, after: Stack) -> Action:
        (old,) = brought_up(before)
        mounts = (
            Mount("volume", ANONYMOUS, "/data"),
            Mount("volume", "b" * 64, "/from/image"),
            Mount("volume", "shop_named", "/n"),
        )
        (action,) = plan(after, [container(old.spec.request, mounts=mounts)], {})
        return action

    def test_go_over_to_the_new_container(self, stack_of: StackOf) -> None:
        action = self.recreated(stack_of(self.TEXT % "a"), stack_of(self.TEXT % "b"))
        assert action.request is not None
        assert action.request.mounts == (
            Mount("volume", ANONYMOUS, "/data"),
            Mount("volume", "shop_named", "/n"),
            Mount("volume", "b" * 64, "/from/image"),
        )

    def test_and_are_no_reason_to_recreate_it_again(self, stack_of: StackOf) -> None:
        after = stack_of(self.TEXT % "b")
        action = self.recreated(stack_of(self.TEXT % "a"), after)
        assert action.request is not None
        there = container(action.request)
        assert steps(after, [there]) == [("keep", "shop-db-1", "running")]
        assert steps(stack_of(self.TEXT % "c"), [there]) == [("recreate", "shop-db-1", "command changed")]

    def test_give_way_to_what_the_file_mounts_there(self, stack_of: StackOf) -> None:
        after = stack_of(
            (self.TEXT % "b").replace("/data,", "'named:/data', ").replace("'named:/n'", "./x:/from/image")
        )
        action = self.recreated(stack_of(self.TEXT % "a"), after)
        assert action.request is not None
        assert [mount.source for mount in action.request.mounts][:1] == ["shop_named"]
        assert len(action.request.mounts) == 2
