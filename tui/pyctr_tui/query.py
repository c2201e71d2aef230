"""The filter: words that have to be in a container's name, image, command or stack, and conditions on its state.

``web state:up cpu>10 stack:shop -test`` — all words have to hold; ``-`` turns one around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_tui.samples import Sample
    from pyctr_tui.view import ContainerView

Test = Callable[["ContainerView", "Sample | None"], bool]
_SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "%": 1}
FIELDS = ("state:", "stack:", "image:", "name:", "cpu>", "cpu<", "mem>", "mem<")


@dataclass(frozen=True, slots=True)
class Query:
    """A filter as typed, and its tests. An empty one lets all pass."""

    text: str
    tests: tuple[Test, ...]

    def matches(self, container: ContainerView, sample: Sample | None) -> bool:
        """Whether the container passes."""
        return all(test(container, sample) for test in self.tests)


def parse(text: str) -> Query:
    """Read a filter; a condition that can't be read (yet: it is being typed) lets all pass."""
    tests = [test for word in text.lower().split() if (test := _test(word)) is not None]
    return Query(text, tuple(tests))


def _test(word: str) -> Test | None:
    if word.startswith("-"):
        inner = _test(word[1:]) if len(word) > 1 else None
        return None if inner is None else lambda container, sample: not inner(container, sample)
    for field in ("cpu", "mem"):
        for sign in (">", "<"):
            if word.startswith(field + sign):
                return _comparison(field, sign, word[len(field) + 1 :])
    name, colon, value = word.partition(":")
    if colon and name in ("state", "stack", "image", "name"):
        return _field(name, value) if value else None
    return lambda container, _: any(
        word in text.lower() for text in (container.name, container.image, container.stack, container.command)
    )


def _field(name: str, value: str) -> Test:
    if name == "state":
        return lambda container, _: (
            container.state.startswith(value)
            or (value == "up" and container.is_up)
            or (value == "failed" and container.failed)
            or (value == "oom" and container.oom)
        )
    return lambda container, _: value in str(getattr(container, name)).lower()


def _comparison(field: str, sign: str, figure: str) -> Test | None:
    factor = _SIZES.get(figure[-1:], 1)
    try:
        limit = float(figure.rstrip("kmg%")) * factor
    except ValueError:
        return None

    def test(container: ContainerView, sample: Sample | None) -> bool:
        if sample is None:
            return False
        value = sample.cpu * 100 if field == "cpu" else sample.memory
        return value > limit if sign == ">" else value < limit

    return test
