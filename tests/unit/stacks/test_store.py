"""Which stacks were brought up, and from where."""

from __future__ import annotations

from pathlib import Path

from pyctr_engine.database import Database
from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.model.stack import Stack, StackSummary
from pyctr_engine.model.status import State
from pyctr_engine.stacks.store import StackStore
from tests.unit.stacks.engines import container


def test_rows_and_containers_together(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "pyctr.db"))
    store = StackStore(database)
    store.remember(Stack("shop", "/old.yaml", ()))
    store.remember(Stack("shop", "/shop.yaml", ()))
    store.remember(Stack("idle", "/idle.yaml", ()))
    containers = [
        container(ContainerRequest(image="x", name="a", stack="shop")),
        container(ContainerRequest(image="x", name="b", stack="shop"), State.EXITED),
        container(ContainerRequest(image="x", name="c", stack="unknown"), State.PAUSED),
        container(ContainerRequest(image="x", name="d")),
    ]
    assert store.summaries(containers) == [
        StackSummary("idle", "/idle.yaml", 0, 0),
        StackSummary("shop", "/shop.yaml", 1, 2),
        StackSummary("unknown", "", 1, 1),
    ]
    store.forget("idle")
    store.forget("never")
    assert (store.path("shop"), store.path("idle")) == ("/shop.yaml", "")
    assert [summary.name for summary in store.summaries([])] == ["shop"]
    database.close()
