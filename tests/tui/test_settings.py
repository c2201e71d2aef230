"""Settings: the file, what was chosen, which wins; the schema; the command line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyctr_tui.cli.main import main
from pyctr_tui.settings.document import parse
from pyctr_tui.settings.settings import Settings, file_path, state_path
from pyctr_tui.settings.table import BY_NAME, SETTINGS, CustomCommand, UserTheme, schema


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    values, problems = parse(text.encode(), "tui.yaml")
    return values.values, [str(problem) for problem in problems]


WHOLE = """\
theme: mine
ascii: true
mouse: off
key_preset: k9s
keys:
  remove: [Ctrl+D, Del]
  view stacks: F5
  images.run: Ctrl+N
  copy_mode: []
columns: [state, memory]
sort: cpu
reverse: true
cpu_basis: host
graph_span: 1h
commands:
  container:
    - {name: top, command: top, runs: container, shows: terminal}
    - {name: port, command: "docker port {name}"}
  volume: []
themes:
  mine: {base: paper, accent: "#a03060"}
"""


def test_a_whole_file() -> None:
    values, problems = read(WHOLE)
    assert problems == []
    assert values == {
        "theme": "mine",
        "ascii": True,
        "mouse": False,
        "key_preset": "k9s",
        "keys": {"remove": ("ctrl+d", "delete"), "view stacks": ("f5",), "images.run": ("ctrl+n",), "copy_mode": ()},
        "columns": ("state", "memory"),
        "sort": "cpu",
        "reverse": True,
        "cpu_basis": "host",
        "graph_span": "1h",
        "commands": {
            "container": (
                CustomCommand("top", "top", "container", "terminal"),
                CustomCommand("port", "docker port {name}"),
            ),
            "volume": (),
        },
        "themes": {"mine": UserTheme("paper", {"accent": "#a03060"})},
    }
    assert set(values) == set(BY_NAME)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("themo: night", "1:1", "did you mean theme?"),
        ("theme: nigth", "1:8", "did you mean night?"),
        ("ascii: maybe", "1:8", "`ascii: true`"),
        ("mouse: [1]", "1:8", "true or false"),
        ("sort: colour", "1:7", "one of"),
        ("keys:\n  remov: d", "2:3", "did you mean remove?"),
        ("keys:\n  remove: Hyper+X", "2:11", "there is no key Hyper+X"),
        ("keys:\n  remove: Ctrl+I", "2:11", "sends Ctrl+I as Tab"),
        ("keys: d", "1:7", "mapping"),
        ("columns: state", "1:10", "list of image, state"),
        ("columns: [state, colour]", "1:10", "list of image, state"),
        ("commands:\n  pod: []", "2:3", "there is no kind of object pod"),
        ("commands:\n  image: {}", "2:10", "list"),
        ("commands:\n  image:\n  - {name: a}", "3:5", "a name and a command"),
        ("commands:\n  image:\n  - {name: a, command: b, runs: container}", "3:33", "only a container"),
        ("commands:\n  image:\n  - {name: a, command: b, show: x}", "3:27", "did you mean shows?"),
        ("commands:\n  image:\n  - {name: a, command: \"echo '{name}'\"}", "3:24", "stands in quotes"),
        ("themes:\n  night: {}", "2:3", "a theme already"),
        ("themes:\n  a: {accent: red}", "2:15", "is a colour"),
        ("themes:\n  a: {acent: '#000000'}", "2:7", "did you mean accent?"),
        ("theme: night\ntheme: paper", "2:1", "there twice"),
        ("- night", "1:1", "mapping"),
        ("theme: [", "1:9", "this is not YAML"),
        ("theme: \x07", "", "is not YAML"),
    ],
)
def test_each_mistake_has_its_place_and_the_rest_applies(text: str, where: str, said: str) -> None:
    values, problems = read(text)
    assert len(problems) == 1
    assert problems[0].startswith(f"tui.yaml:{where}:" if where else "tui.yaml")
    assert said in problems[0]
    if "YAML" not in said and not text.startswith("-"):
        values, problems = read(f"{text}\ngraph_span: 6h\n")
        assert values["graph_span"] == "6h"
        assert len(problems) == 1


def test_bytes_that_are_no_text() -> None:
    _, problems = parse(b"theme: night\nsort: \xff", "tui.yaml")
    assert [problem.where for problem in problems] == ["tui.yaml:2:1"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "keys:\ncommands:\n"])
def test_an_empty_file_says_nothing(text: str) -> None:
    values, problems = read(text)
    assert problems == []
    assert not any(values.values())


# -- which wins ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def write(home: dict[str, str], text: str) -> None:
    path = Path(file_path(home))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_where_the_files_are(tmp_path: Path) -> None:
    assert file_path({"HOME": "/h"}) == "/h/.config/pyctr-tui/tui.yaml"
    assert state_path({"HOME": "/h"}) == "/h/.local/state/pyctr-tui/tui-state.json"
    assert file_path({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}) == "/h/.config/pyctr-tui/tui.yaml"
    assert file_path({"HOME": "/h", "PYCTR_TUI_CONFIG": "/x/y.yaml"}) == "/x/y.yaml"


def test_a_choice_wins_over_defaults_and_is_remembered(home: dict[str, str]) -> None:
    settings = Settings.load(home)
    assert (settings.value("theme"), settings.source("theme")) == ("night", "default")
    assert settings.choose("theme", "paper") == ""
    again = Settings.load(home)
    assert (again.value("theme"), again.source("theme")) == ("paper", "chosen")
    assert os.listdir(Path(state_path(home)).parent) == ["tui-state.json"]
    again.forget("theme")
    assert Settings.load(home).source("theme") == "default"


def test_two_interfaces_keep_each_others_choices(home: dict[str, str]) -> None:
    one, other = Settings.load(home), Settings.load(home)
    one.choose("theme", "paper")
    other.choose("sort", "cpu")
    again = Settings.load(home)
    assert (again.value("theme"), again.value("sort")) == ("paper", "cpu")
    other.forget("sort")
    assert Settings.load(home).value("theme") == "paper"


def test_the_file_wins_over_choices_for_what_it_names(home: dict[str, str]) -> None:
    Settings.load(home).choose("theme", "contrast")
    Settings.load(home).choose("sort", "cpu")
    write(home, "theme: paper\n")
    settings = Settings.load(home)
    assert (settings.value("theme"), settings.source("theme")) == ("paper", "file")
    assert (settings.value("sort"), settings.source("sort")) == ("cpu", "chosen")
    assert "tui.yaml says paper" in settings.choose("theme", "night")
    assert (settings.value("theme"), settings.source("theme")) == ("night", "session")
    assert Settings.load(home).value("theme") == "paper"
    assert Path(file_path(home)).read_text() == "theme: paper\n"


def test_a_choice_has_to_be_one(home: dict[str, str]) -> None:
    settings = Settings.load(home)
    with pytest.raises(ValueError, match="one of"):
        settings.choose("sort", "colour")
    with pytest.raises(ValueError, match="in the file"):
        settings.choose("keys", {})


@pytest.mark.parametrize("text", ["{", "[]", '{"theme": 7, "new": 1, "sort": "cpu"}'])
def test_a_damaged_state_is_no_harm(home: dict[str, str], text: str) -> None:
    path = Path(state_path(home))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    settings = Settings.load(home)
    assert settings.value("theme") == "night"
    assert settings.value("sort") == ("cpu" if "cpu" in text else "name")
    assert len(settings.problems) == ("cpu" not in text)


def test_what_cant_be_remembered_is_told(home: dict[str, str]) -> None:
    Path(home["XDG_STATE_HOME"]).write_text("a file in the way")
    assert "can't be remembered" in Settings.load(home).choose("theme", "paper")


def test_yaml_is_imported_only_for_a_file() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pyctr_tui.settings.settings import Settings; from pyctr_tui.remaps import keymap;"
        "Settings.load({'HOME': '/nonexistent'}); keymap('k9s', {}); print('yaml' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


# -- the schema ---------------------------------------------------------------------------------------------------


def valid(value: Any, rule: dict[str, Any]) -> bool:
    """As much of JSON Schema as ours uses."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool}
    if "anyOf" in rule and not any(valid(value, one) for one in rule["anyOf"]):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "type" in rule and not isinstance(value, kinds[rule["type"]]):
        return False
    if isinstance(value, str):
        return len(value) >= rule.get("minLength", 0) and re.search(rule.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return all(valid(item, rule.get("items", {})) for item in value)
    if isinstance(value, dict):
        rest = rule.get("additionalProperties", {})
        for name, item in value.items():
            own = rule.get("properties", {}).get(name, rest)
            if own is False or not valid(item, own) or not valid(name, rule.get("propertyNames", {})):
                return False
        return all(name in value for name in rule.get("required", ()))
    return True


def test_the_schema_knows_what_the_reader_knows() -> None:
    made = schema()
    assert json.loads(json.dumps(made)) == made
    assert set(made["properties"]) == {setting.name for setting in SETTINGS}
    assert valid(yaml.safe_load(WHOLE), made)
    for name, rule in made["properties"].items():
        assert rule["description"]
        assert valid(rule["default"], rule), name
    for wrong in (
        "themo: night",
        "sort: colour",
        "keys: {remov: d}",
        "commands: {pod: []}",
        "themes: {a: {accent: red}}",
    ):
        assert not valid(yaml.safe_load(wrong), made), wrong


# -- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYCTR_TUI_CONFIG", raising=False)
    assert main(["settings", "path"]) == 0
    assert capsys.readouterr().out == file_path(home) + "\n"
    assert main(["settings", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    assert main(["settings", "check"]) == 0
    assert "not there" in capsys.readouterr().out
    write(home, "sort: cpu\nkeys: {remove: x}\ntheme: nigth\n")
    assert main(["settings", "check"]) == 1
    out = capsys.readouterr().out
    assert f"{file_path(home)}:3:8: there is no theme nigth" in out
    assert "remove: x is “changes”" in out
    write(home, WHOLE)
    assert main(["settings", "check", file_path(home)]) == 0
    assert "fine" in capsys.readouterr().out
    assert main(["settings", "check", "/nonexistent.yaml"]) == 1
