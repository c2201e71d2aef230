"""Health checks: run in the container by its monitor, by docker's rules."""

from __future__ import annotations

import time

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, HealthCheck, RestartPolicy
from pyctr_engine.model.status import Container, State
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root


def _check(line: str, **options: float) -> HealthCheck:
    options = {"interval": 0.1, "timeout": 5.0, **options}
    return HealthCheck(("CMD-SHELL", line), retries=int(options.pop("retries", 2)), **options)


def _health(engine: Engine, container: Container) -> str:
    return engine.container(container.id).status.health


def _events(bench: Bench, container: Container) -> list[str]:
    found = [event.action for event in bench.engine.events(0.0, follow=False) if event.id == container.id]
    return [action for action in found if action.startswith("health_status")]


def test_it_is_starting_then_healthy_then_not_then_healthy_again(bench: Bench) -> None:
    container = bench.start(health=_check("echo seen; test ! -e /broken", interval=0.3))
    until(lambda: _health(bench.engine, container) == "starting")
    until(lambda: _health(bench.engine, container) == "healthy")
    bench.exec(container, "touch", "/broken")
    until(lambda: _health(bench.engine, container) == "unhealthy")
    assert bench.engine.container(container.id).status.health_streak >= 2
    bench.exec(container, "rm", "/broken")
    until(lambda: _health(bench.engine, container) == "healthy")
    wanted = [f"health_status: {s}" for s in ("healthy", "unhealthy", "healthy")]
    until(lambda: _events(bench, container) == wanted)  # the event log is written by another thread
    last = bench.engine.health_results(container.id)[-1]
    assert (last.exit_code, last.output) == (0, "seen\n")
    assert last.started <= last.ended <= time.time()


def test_the_form_without_a_shell_and_what_cannot_be_run(bench: Bench) -> None:
    fine = bench.start(health=HealthCheck(("CMD", "true"), interval=0.1))
    wrong = bench.start(health=HealthCheck(("CMD", "/no/such/program"), interval=0.1, retries=1))
    until(lambda: _health(bench.engine, fine) == "healthy")
    until(lambda: _health(bench.engine, wrong) == "unhealthy")
    assert "no such program" in bench.engine.health_results(wrong.id)[-1].output


def test_a_probe_that_takes_too_long_is_killed(bench: Bench) -> None:
    container = bench.start(health=_check("sleep 1000", timeout=0.2, retries=1))
    until(lambda: _health(bench.engine, container) == "unhealthy")
    result = bench.engine.health_results(container.id)[-1]
    assert result.exit_code == -1
    assert "longer than 0.2 s" in result.output
    until(lambda: len(bench.engine.processes(container.id)) <= 3)


def test_failures_in_the_start_period_do_not_count(bench: Bench) -> None:
    check = _check("test -e /ready", start_period=60.0, start_interval=0.05, interval=0.1, retries=1)
    container = bench.start(health=check)
    until(lambda: len(bench.engine.health_results(container.id)) == 5)
    assert _health(bench.engine, container) == "starting"
    bench.exec(container, "touch", "/ready")
    until(lambda: _health(bench.engine, container) == "healthy")
    bench.exec(container, "rm", "/ready")
    until(lambda: _health(bench.engine, container) == "unhealthy")


def test_while_it_is_paused_nothing_is_held_against_it(bench: Bench) -> None:
    container = bench.start(health=_check("true", timeout=0.2, retries=1))
    until(lambda: _health(bench.engine, container) == "healthy")
    bench.engine.pause(container.id)
    time.sleep(0.6)
    bench.engine.unpause(container.id)
    time.sleep(0.3)
    assert _events(bench, container) == ["health_status: healthy"]


def test_output_is_bounded_and_results_are_few(bench: Bench) -> None:
    container = bench.start(health=_check("head -c 100000 /dev/zero | tr '\\0' x", interval=0.05))
    until(lambda: len(bench.engine.health_results(container.id)) == 5)
    time.sleep(0.3)
    results = bench.engine.health_results(container.id)
    assert len(results) == 5
    assert all(len(result.output) == 4096 for result in results)


def test_a_restart_begins_anew_and_results_outlive_the_end(bench: Bench) -> None:
    container = bench.start("sh", "-c", "sleep 0.6; exit 1", health=_check("true"), restart=RestartPolicy("always"))
    until(lambda: bench.engine.container(container.id).status.restart_count == 2, 10)
    again = bench.engine.container(container.id).status.started_at
    until(lambda: any(result.started > again for result in bench.engine.health_results(container.id)))
    until(lambda: _health(bench.engine, container) == "healthy", 10)  # it goes on being restarted meanwhile
    bench.engine.stop(container.id, timeout=0)
    assert _health(bench.engine, container) == ""
    assert bench.engine.health_results(container.id)


def test_the_image_s_check_is_taken_and_can_be_overridden(bench: Bench) -> None:
    made = bench.start("sh", "-c", "exit 0")
    bench.engine.commit(made.id, CommitRequest("checked:1", changes=("HEALTHCHECK --interval=7s CMD test -e /x",)))
    try:
        taken = bench.engine.create(ContainerRequest("checked:1")).spec.health
        assert taken == HealthCheck(("CMD-SHELL", "test -e /x"), 7.0, 30.0, 3, 0.0, 5.0)
        mixed = bench.engine.create(ContainerRequest("checked:1", health=HealthCheck(retries=9))).spec.health
        assert mixed is not None
        assert (mixed.test[1], mixed.interval, mixed.retries) == ("test -e /x", 7.0, 9)
        assert bench.engine.create(ContainerRequest("checked:1", health=HealthCheck(("NONE",)))).spec.health is None
        with pytest.raises(InvalidValue, match="can't begin with 'EXEC'"):
            bench.engine.create(ContainerRequest(IMAGE, health=HealthCheck(("EXEC", "x"))))
    finally:
        for container in bench.engine.containers():
            bench.engine.remove(container.id, force=True)
        bench.engine.remove_image("checked:1")


def test_inspect_tells_of_it_as_docker_does(bench: Bench) -> None:
    container = bench.start(health=_check("echo fine"))
    until(lambda: _health(bench.engine, container) == "healthy")
    found = bench.engine.inspect(container.id)
    health = found["State"]["Health"]
    assert (health["Status"], health["FailingStreak"]) == ("healthy", 0)
    assert health["Log"][-1]["Output"] == "fine\n"
    assert found["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "echo fine"],
        "Interval": 100_000_000,
        "Timeout": 5_000_000_000,
        "StartPeriod": 0,
        "StartInterval": 5_000_000_000,
        "Retries": 2,
    }
    assert "Health" not in bench.engine.inspect(bench.start().id)["State"]


def test_probes_that_are_killed_while_they_begin_leave_nobody(bench: Bench) -> None:
    """Whoever is left in its pid namespace would keep the container from ever ending."""
    container = bench.start("sleep", "2", health=_check("sleep 1000", interval=0.01, timeout=0.015, retries=1000))
    assert bench.engine.wait(container.id) == 0
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
