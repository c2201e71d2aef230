"""YAML with positions."""

from __future__ import annotations

import os

import pytest

from pyctr_engine.errors import InvalidStack, NotFound
from pyctr_engine.stacks.document import MAX_BYTES, Mapping, Scalar, Sequence, find, parse, read


def message(text: str) -> str:
    with pytest.raises(InvalidStack) as caught:
        parse(text, "s.yaml")
    return caught.value.message


def plain(node: object) -> object:
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node}
    if isinstance(node, Sequence):
        return [plain(item) for item in node]
    assert isinstance(node, Scalar)
    return None if node.is_null else node.text


def test_every_value_knows_its_place() -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c: y}\n", "s.yaml")
    b = root.get("b")
    assert isinstance(b, Sequence)
    assert str(b.items[0].mark) == "s.yaml:3:5"
    inner = b.items[1]
    assert isinstance(inner, Mapping)
    assert str(inner.entries[0][1].mark) == "s.yaml:4:9"


@pytest.mark.parametrize("text", ["22:22", "yes", "off", "0777", "1_000", "2024-01-01", ".5", "190:20:30"])
def test_scalars_stay_as_they_were_written(text: str) -> None:
    assert plain(parse(f"a: {text}", "s.yaml")) == {"a": text}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "!!null ''"])
def test_null_is_null(text: str) -> None:
    assert parse(f"a: {text}", "s.yaml").entries[0][1].is_null


@pytest.mark.parametrize("text", ["'null'", '""', "!!str null", "! ~"])
def test_a_string_is_not_null(text: str) -> None:
    assert not parse(f"a: {text}", "s.yaml").entries[0][1].is_null


def test_aliases_and_merge_keys() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none: {<<: *x, b: 3}\nmany: {<<: [*x, *y], d: 4}\nlist: &l [*x]\n"
    assert plain(parse(text, "s.yaml")) == {
        "x": {"a": "1", "b": "1"},
        "y": {"b": "2", "c": "2"},
        "one": {"b": "3", "a": "1"},
        "many": {"d": "4", "a": "1", "b": "1", "c": "2"},
        "list": [{"a": "1", "b": "1"}],
    }


def test_a_quoted_merge_key_is_a_key() -> None:
    assert plain(parse("'<<': {a: 1}", "s.yaml")) == {"<<": {"a": "1"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "s.yaml:1:1: the file is empty"),
        ("# nothing\n", "s.yaml:1:1: the file is empty"),
        ("- a\n", "s.yaml:1:1: a stack file is a mapping, not a list"),
        ("hello\n", 's.yaml:1:1: a stack file is a mapping, not "hello"'),
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3:1: a is given twice; first on line 1"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: a second document begins"),
        ("a: *b\n", "s.yaml:1:4: *b has no anchor &b before it"),
        ("a: &a [*a]\n", "s.yaml:1:8: *a stands inside its own anchor"),
        ("[a, b]: 1\n", "s.yaml:1:1: a key is text, not a list"),
        ("a: !!python/object:os.system x\n", "s.yaml:1:4: the tag !!python/object:os.system has no meaning here"),
        ("a: !!binary aGk=\n", "s.yaml:1:4: the tag !!binary has no meaning here"),
        ("a: !reset null\n", "s.yaml:1:4: !reset is not supported yet"),
        ("a: !override [b]\n", "s.yaml:1:4: !override is not supported yet"),
        ("a: {<<: 5}\n", 's.yaml:1:9: << merges a mapping or a list of mappings, not "5"'),
        ("a: {<<: [{b: 1}, 5]}\n", 's.yaml:1:18: << merges a mapping or a list of mappings, not "5"'),
        ("a: b: c\n", "s.yaml:1:5: this is not YAML: mapping values are not allowed in this context"),
        ("\ta: 1\n", "s.yaml:1:1: this is not YAML: while scanning for the next token found character that cannot "),
        ("a: é\nb: x\x01\n", "s.yaml:2:5: this is not YAML: control characters are not allowed"),
    ],
)
def test_what_can_t_be_says_where_and_why(text: str, expected: str) -> None:
    assert message(text).startswith(expected)


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "values with all aliases expanded" in message("\n".join(lines))


def test_merges_count_as_well() -> None:
    keys = ", ".join(f"k{n}: v" for n in range(1000))
    lines = [f"base: &base {{{keys}}}"] + [f"m{n}: {{<<: *base}}" for n in range(100)]
    assert "values with all aliases expanded" in message("\n".join(lines))


def test_depth_is_bounded_through_aliases_too() -> None:
    assert message("a: " + "[" * 100 + "]" * 100) == "s.yaml:1:67: nested deeper than 64 levels"
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 20)]
    assert "nested deeper than 64 levels" in message("\n".join(lines))


def test_files(tmp_path: os.PathLike[str]) -> None:
    base = os.fspath(tmp_path)
    with pytest.raises(NotFound):
        read(f"{base}/none.yaml")
    with pytest.raises(NotFound):
        find(base)
    for name in ("docker-compose.yml", "compose.yaml"):
        with open(f"{base}/{name}", "w") as file:
            file.write("a: 1\n")
    assert find(base) == f"{base}/compose.yaml"
    with open(f"{base}/big.yaml", "w") as file:
        file.write("#" * (MAX_BYTES + 1))
    with pytest.raises(InvalidStack, match="larger than 1 MiB"):
        read(f"{base}/big.yaml")
    with open(f"{base}/latin.yaml", "wb") as file:
        file.write(b"a: 1\nb: \xc3\xa9\xe9\n")
    with pytest.raises(InvalidStack) as caught:
        read(f"{base}/latin.yaml")
    assert caught.value.message == f"{base}/latin.yaml:2:5: this is not UTF-8 text"
