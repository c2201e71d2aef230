"""Variables in values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import InvalidStack
from pyctr_engine.stacks.document import Mark, Scalar, parse
from pyctr_engine.stacks.interpolate import BadTemplate, interpolate, substitute

VARIABLES = {"V": "value", "E": "", "W": "other", "_x9": "under"}


def expand(template: str) -> tuple[str, list[str]]:
    warnings: list[str] = []
    return substitute(template, VARIABLES, warnings.append), warnings


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("$V", "value"),
        ("${V}", "value"),
        ("a$V-b", "avalue-b"),
        ("$V$W", "valueother"),
        ("$_x9.", "under."),
        ("$$V $${V} $$$V", "$V ${V} $value"),
        ("${V:-d}", "value"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${N:-d}", "d"),
        ("${N-d}", "d"),
        ("${N:-}", ""),
        ("${V:+r}", "r"),
        ("${E:+r}", ""),
        ("${E+r}", "r"),
        ("${N+r}", ""),
        ("${N:+r}", ""),
        ("${V:?e}", "value"),
        ("${E?e}", ""),
        ("${N:-${W}}", "other"),
        ("${N:-a${M:-b${V}c}d}", "abvaluecd"),
        ("${N:-$V}", "value"),
        ("${N:-$$V}", "$V"),
        ("${N:-a:-b}", "a:-b"),
        ("${V:+${W:+deep}}", "deep"),
        ("{${V}}", "{value}"),
        ("${N:-{}}", "{}"),
    ],
)
def test_forms(template: str, expected: str) -> None:
    assert expand(template) == (expected, [])


def test_an_unset_variable_is_empty_with_a_warning() -> None:
    warning = "the variable N is not set; it is taken as empty"
    assert expand("a$N${N}b") == ("ab", [warning, warning])


def test_the_branch_not_taken_is_not_looked_up() -> None:
    assert expand("${V:-$N}${N:+$M}${V-${N:?no}}") == ("valuevalue", [])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("$", "a $ has no variable's name after it"),
        ("cost: 5$ each", "a $ has no variable's name after it"),
        ("$1", "a $ has no variable's name after it"),
        ("$(date)", "a $ has no variable's name after it"),
        ("${}", "a $ has no variable's name after it"),
        ("${V", "${ has no closing }"),
        ("${V:-x", "${ has no closing }"),
        ("${V:-${W}", "${ has no closing }"),
        ("${V!x}", "'!' can't follow ${V"),
        ("${V:x}", "':' can't follow ${V"),
        ("${N:?}", "N must be set"),
        ("${N:?give a name}", "N must be set: give a name"),
        ("${E:?empty}", "E must be set: empty"),
        ("${N?for $W}", "N must be set: for other"),
        ("${N:-" * 40 + "}" * 40, "${…} is nested deeper than 32 levels"),
    ],
)
def test_what_can_t_be(template: str, reason: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        expand(template)
    assert str(caught.value) == reason


@given(st.text())
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert expand(text.replace("$", "$$")) == (text, [])


@given(st.text())
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        expand(text)
    except BadTemplate:
        assert "$" in text


@given(st.text(alphabet="${}:-+?VEN_ x", max_size=40))
def test_any_template_is_expanded_or_refused(template: str) -> None:
    try:
        expand(template)
    except BadTemplate as error:
        assert str(error)


@given(st.text(alphabet=st.characters(exclude_characters="$}", exclude_categories=["Cs"])))
def test_defaults_obey_the_colon(default: str) -> None:
    assert expand(f"${{N:-{default}}}")[0] == expand(f"${{E:-{default}}}")[0] == default
    assert expand(f"${{N-{default}}}")[0] == default
    assert expand(f"${{E-{default}}}")[0] == ""
    assert expand(f"${{V:-{default}}}")[0] == "value"
    assert expand(f"${{V:+{default}}}")[0] == expand(f"${{E+{default}}}")[0] == default


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), st.text(), min_size=1))
def test_values_are_never_expanded_again(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        assert substitute(f"${{{name}}}", variables, pytest.fail) == value


def test_keys_are_left_alone_and_places_kept() -> None:
    warnings: list[str] = []
    root = parse("$V:\n  - ${N}\n  - '$W'\n", "s.yaml")
    found = interpolate(root, VARIABLES, lambda mark, what: warnings.append(f"{mark}: {what}"))
    value = found.get("$V")  # type: ignore[attr-defined]
    assert [item.text for item in value] == ["", "other"]
    assert warnings == ["s.yaml:2:5: the variable N is not set; it is taken as empty"]


def test_a_variable_s_value_is_a_string_even_where_it_reads_null() -> None:
    node = interpolate(Scalar(Mark("s.yaml", 1, 1), "$X"), {"X": "null"}, lambda mark, what: None)
    assert not node.is_null


def test_errors_name_the_place() -> None:
    with pytest.raises(InvalidStack) as caught:
        interpolate(parse("a:\n  b: $(x)\n", "s.yaml"), {}, lambda mark, what: None)
    assert caught.value.message == "s.yaml:2:6: a $ has no variable's name after it"
    assert caught.value.hint == "write $$ for a dollar sign"
