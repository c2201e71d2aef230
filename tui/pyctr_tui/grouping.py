"""From containers to rows: filtered, sorted, grouped by stack, with a total for each stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf

from pyctr_engine.record import dataclass
from pyctr_tui.query import Query
from pyctr_tui.samples import Sample
from pyctr_tui.view import ContainerView

NO_STACK = "(no stack)"
SORTS = ("name", "cpu", "memory", "state", "age", "image", "network", "ports", "restarts")
COLUMNS = ("image", "state", "graph", "cpu", "memory", "bar", "network", "ports")
"""Columns of the list of containers besides the name: ``graph`` is cpu's past, ``bar`` the share of memory."""
PUBLISHED = re.compile(r":(\d+)→")
NOT_A_PORT = float(1 << 16)
"""Behind all ports: where those stand that are open inside alone."""


@dataclass(frozen=True, slots=True)
class StackRow:
    """A stack's own row: how many of its containers run, and what they use together."""

    key: str
    name: str
    up: int
    total: int
    cpu: float
    memory: float
    open: bool


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """A container's row."""

    key: str
    container: ContainerView
    sample: Sample | None


Row = StackRow | ContainerRow


def rows(
    containers: Sequence[ContainerView],
    samples: Mapping[str, Sample],
    query: Query,
    sort: str = "name",
    running_only: bool = False,
    closed: Collection[str] = (),
    reverse: bool = False,
    now: float = 0.0,
) -> list[Row]:
    """The rows to show. Stacks stand in the order of their names, containers without one at the end."""
    groups: dict[str, list[ContainerView]] = {}
    for container in containers:
        groups.setdefault(container.stack, []).append(container)
    out: list[Row] = []
    order = _order(sort, samples)
    for stack in sorted(groups, key=lambda name: (not name, name)):
        members = groups[stack]
        shown = [
            container
            for container in members
            if (container.is_up or not running_only) and query.matches(container, samples.get(container.id), now)
        ]
        if not shown:
            continue
        is_open = stack not in closed or bool(query.tests)
        used = [samples[container.id] for container in members if container.id in samples]
        out.append(
            StackRow(
                key=f"stack:{stack}",
                name=stack or NO_STACK,
                up=sum(container.is_up for container in members),
                total=len(members),
                cpu=sum(sample.cpu for sample in used),
                memory=sum(sample.memory for sample in used),
                open=is_open,
            )
        )
        if is_open:
            out.extend(
                ContainerRow(container.id, container, samples.get(container.id))
                for container in sorted(shown, key=order, reverse=reverse)
            )
    return out


def _order(
    sort: str, samples: Mapping[str, Sample]
) -> Callable[[ContainerView], tuple[float, list[tuple[int, object]]]]:
    def key(container: ContainerView) -> tuple[float, list[tuple[int, object]]]:
        if sort == "image":
            return 0.0, [*natural(container.image), *natural(container.label)]
        sample = samples.get(container.id)
        first = 0.0
        if sort == "cpu":
            first = -sample.cpu if sample else 1.0
        elif sort == "memory":
            first = -sample.memory if sample else 1.0
        elif sort == "state":
            first = 0.0 if container.failed else 1.0 if container.is_up else 2.0
        elif sort == "age":
            first = -container.started_at
        elif sort == "network":
            first = -(sample.rx + sample.tx) if sample else 1.0
        elif sort == "ports":
            published = PUBLISHED.search(container.ports)
            first = float(published.group(1)) if published else inf if not container.ports else NOT_A_PORT
        elif sort == "restarts":
            first = -float(container.restarts)
        return first, natural(container.label)

    return key


def natural(name: str) -> list[tuple[int, object]]:
    """A sorting key that puts ``web-2`` before ``web-10``."""
    out: list[tuple[int, object]] = []
    digits = ""
    text = ""
    for character in name + "\0":
        if character.isdecimal() and character.isascii():
            if text:
                out.append((1, text))
                text = ""
            digits += character
        else:
            if digits:
                out.append((0, int(digits)))
                digits = ""
            text += character
    out.append((1, text))
    return out
