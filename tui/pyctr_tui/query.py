"""The filter: words that have to be in what a list shows, and conditions on its fields and figures.

``web state:up cpu>10 stack:shop -test`` — all words have to hold; ``-`` turns one around. ``field:part`` looks for a
part, ``field=value`` for the whole; ``mem>100m`` and ``age<2h`` compare figures with units. Case doesn't matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass, field

if TYPE_CHECKING:
    from pyctr_tui.samples import Sample
    from pyctr_tui.view import ContainerView, ImageView

BYTES = {"": 1.0, "b": 1.0, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
UNITS: dict[str, Mapping[str, float]] = {
    "cpu": {"": 1.0, "%": 1.0}, "mem": BYTES, "size": BYTES, "age": SECONDS, "restarts": {"": 1.0},
}  # fmt: skip
"""Figures and their units: percent of a CPU, bytes, seconds, a count."""
CONTAINER_FIELDS = ("state", "stack", "service", "image", "name", "label", "id", "port", "network", "health")
IMAGE_FIELDS = ("name", "used", "id")
CONTAINER_FIGURES = ("cpu", "mem", "age", "restarts")
IMAGE_FIGURES = ("size", "age", "used")
UNITS["used"] = {"": 1.0}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a filter looks at of one item.

    Attributes:
        text: All that plain words are looked for in, in lower case.
        values: Values by field, in lower case.
        figures: Figures in the base of their `UNITS`; ``None`` for what isn't known, which no comparison holds for.
    """

    text: str
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)


Test = Callable[[Subject], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A filter as typed, and its tests. An empty one lets all pass.

    Attributes:
        words: What is looked for in the text, to be lit in the list.
        problem: What can't be read of it, as a phrase; empty when all can. It is left out of the tests.
    """

    text: str
    tests: tuple[Test, ...]
    words: tuple[str, ...] = ()
    problem: str = ""

    def passes(self, subject: Subject) -> bool:
        """Whether an item passes."""
        return all(test(subject) for test in self.tests)

    def matches(self, container: ContainerView, sample: Sample | None, now: float = 0.0) -> bool:
        """Whether a container passes."""
        return not self.tests or self.passes(of_container(container, sample, now))


def parse(
    text: str,
    names: Sequence[str] = CONTAINER_FIELDS,
    figures: Sequence[str] = CONTAINER_FIGURES,
) -> Query:
    """Read a filter over a list with these fields and figures; what can't be read (yet) lets all pass."""
    tests: list[Test] = []
    words: list[str] = []
    problem = ""
    for word in text.lower().split():
        turned, bare = word.startswith("-"), word.removeprefix("-")
        if not bare:
            continue
        test, said = _test(bare, names, figures)
        problem = problem or said
        if test is None:
            continue
        tests.append(_turned(test) if turned else test)
        if not turned and not _split(bare, names, figures)[1]:
            words.append(bare)
    return Query(text, tuple(tests), tuple(words), problem)


def _turned(test: Test) -> Test:
    return lambda subject: not test(subject)


def _split(word: str, names: Sequence[str], figures: Sequence[str]) -> tuple[str, str, str]:
    """Field, sign and value; a plain word has no sign."""
    for at, sign in enumerate(word):
        if sign in ":=<>":
            name = word[:at]
            known = figures if sign in "<>" else names
            return (name, sign, word[at + 1 :]) if name in known else ("", "", word)
    return "", "", word


def _test(word: str, names: Sequence[str], figures: Sequence[str]) -> tuple[Test | None, str]:
    name, sign, value = _split(word, names, figures)
    if not sign:
        return lambda subject: word in subject.text, ""
    if not value:
        return None, ""
    if sign in "<>":
        limit = figure(name, value)
        if limit is None:
            return None, f"{word}: not a figure"
        return _comparison(name, sign, limit), ""
    if sign == "=" or (name == "label" and "=" in value):
        return lambda subject: value in subject.values.get(name, ()), ""
    if name == "state":
        return lambda subject: any(state.startswith(value) for state in subject.values.get(name, ())), ""
    return lambda subject: any(value in one for one in subject.values.get(name, ())), ""


def figure(name: str, value: str) -> float | None:
    """A figure with its unit (``1.5g``, ``2h``) in the unit's base; ``None`` when it is none."""
    units = UNITS[name]
    value = value.removesuffix("ib") if units is BYTES else value
    digits = value.rstrip("".join(units))
    factor = units.get(value[len(digits) :])
    if factor is None or not digits or not all(c.isascii() and (c.isdigit() or c == ".") for c in digits):
        return None
    try:
        return float(digits) * factor
    except ValueError:
        return None


def _comparison(name: str, sign: str, limit: float) -> Test:
    def test(subject: Subject) -> bool:
        value = subject.figures.get(name)
        if value is None:
            return False
        return value > limit if sign == ">" else value < limit

    return test


def of_container(one: ContainerView, sample: Sample | None, now: float) -> Subject:
    """What a filter sees of a container."""
    states = [str(one.state)]
    states += ["up"] * one.is_up + ["failed"] * one.failed + ["oom"] * one.oom
    labels = tuple(f"{name}={value}".lower() for name, value in one.labels)
    values = {
        "state": tuple(states), "stack": (one.stack.lower(),), "service": (one.service.lower(),),
        "image": (one.image.lower(),), "name": (one.name.lower(),), "id": (one.id,),
        "port": tuple(one.ports.lower().split()), "network": tuple(name.lower() for name in one.networks),
        "health": (one.health,), "label": labels + tuple(name.lower() for name, _ in one.labels),
    }  # fmt: skip
    begun = one.started_at or one.finished_at
    figures = {
        "cpu": sample.cpu * 100 if sample else None,
        "mem": sample.memory if sample else None,
        "age": max(now - begun, 0.0) if begun else None,
        "restarts": float(one.restarts),
    }
    return Subject("\n".join((one.name, one.image, one.stack, one.command)).lower(), values, figures)


def of_image(image: ImageView, now: float) -> Subject:
    """What a filter sees of an image; ``used:`` is by container's id, or ``yes`` and ``no``."""
    used = ("yes", *image.used_by) if image.used_by else ("no",)
    names = tuple(name.lower() for name in image.names)
    return Subject(
        "\n".join((image.label.lower(), *names, image.id)),
        {"name": names, "used": used, "id": (image.id.removeprefix("sha256:"), image.id)},
        {
            "size": float(image.size),
            "age": None if image.created is None else max(now - image.created, 0.0),
            "used": float(len(image.used_by)),
        },
    )


def of_anything(item: object) -> Subject:
    """All the text and figures in an item of any other list."""
    return Subject("\n".join(_texts(item)).lower())


def _texts(item: object, depth: int = 3) -> list[str]:
    if isinstance(item, str):
        return [item]
    if isinstance(item, int | float) and not isinstance(item, bool):
        return [str(item)]
    if not depth:
        return []
    if isinstance(item, tuple | list | frozenset):
        return [text for one in item for text in _texts(one, depth - 1)]
    if is_dataclass(item):
        return [text for one in fields(item) for text in _texts(getattr(item, one.name), depth - 1)]
    return [str(vars(item).get(name)) for name in ("title", "said", "cli") if name in getattr(item, "__dict__", {})]


def complete(text: str, known: Mapping[str, Sequence[str]], figures: Sequence[str]) -> str:
    """The filter with its last word completed as far as field names and known values say what it is."""
    before, blank, word = text.rpartition(" ")
    minus, word = ("-", word[1:]) if word.startswith("-") else ("", word)
    sign = next((c for c in word if c in ":="), "")
    if sign:
        name, _, start = word.partition(sign)
        stem, choices = (
            name + sign,
            [value for value in known.get(name, ()) if value.lower().startswith(start.lower())],
        )
    else:
        if not word:
            return text
        stem, choices = "", [f"{name}:" for name in known] + [f"{name}>" for name in figures if name not in known]
        choices = [choice for choice in choices if choice.startswith(word.lower())]
    if not choices:
        return text
    common = choices[0]
    for choice in choices[1:]:
        while not choice.startswith(common):
            common = common[:-1]
    return before + blank + minus + stem + common if common else text
