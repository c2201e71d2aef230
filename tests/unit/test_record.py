"""Records behave as the standard library's frozen, slotted dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Mapping

import pytest

from pyctr_engine import record
from pyctr_engine.record import dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclass(frozen=True, slots=True)
class Line:
    ends: tuple[Point, ...] = ()
    name: str = ""


def test_positions_names_and_defaults() -> None:
    assert (Point(1).x, Point(1).y, Point(1).marks) == (1, 2, {})
    assert Point(1, y=3).sum == 4
    assert Point(1).marks is not Point(1).marks


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, {}, 4), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1})]
)
def test_wrong_calls_are_type_errors(values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=r"^Point\("):
        Point(*values, **named)  # type: ignore[arg-type]


def test_nothing_can_be_assigned_added_or_deleted() -> None:
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(AttributeError):
        point.z = 2  # type: ignore[attr-defined]
    assert not hasattr(point, "__dict__")


def test_equal_values_of_one_class_are_equal_and_hash_alike() -> None:
    assert Line((Point(1),)) == Line((Point(1),))
    assert Line() != Line(name="a")
    assert Line() != Point(1)
    assert len({Line(), Line()}) == 1


def test_shown_as_it_would_be_written() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, marks={})"


def test_copies_and_pickles() -> None:
    line = Line((Point(1, marks={"a": "b"}),))
    assert copy.copy(line) == copy.deepcopy(line) == pickle.loads(pickle.dumps(line)) == line


def test_the_standard_library_takes_them_for_its_own() -> None:
    line = Line((Point(1),), "a")
    assert dataclasses.is_dataclass(line)
    assert [f.name for f in dataclasses.fields(Point)] == ["x", "y", "marks"]
    assert dataclasses.fields(Point)[1].default == 2
    assert dataclasses.asdict(line) == record.asdict(line)
    assert dataclasses.replace(line, name="b") == record.replace(line, name="b") == Line((Point(1),), "b")


def test_replace_takes_others_as_well() -> None:
    @dataclasses.dataclass(frozen=True)
    class Other:
        a: int

    assert record.replace(Other(1), a=2) == Other(2)


def test_others_than_frozen_and_slotted_are_refused() -> None:
    with pytest.raises(TypeError):
        dataclass(frozen=False, slots=True)


def test_the_models_need_neither_dataclasses_nor_inspect() -> None:
    program = "import sys, pyctr_engine.model.status, pyctr_engine.model.oci; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert {"dataclasses", "inspect"}.isdisjoint(shown.split())
