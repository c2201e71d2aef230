"""Keys as the user wants them: presets, remaps, conflicts; and quoting in the user's commands."""

from __future__ import annotations

import subprocess

import pytest

from pyctr_tui.bindings import ALL, COMMANDS
from pyctr_tui.keymap import Keymap, key_name
from pyctr_tui.quoting import fill, template_refusal
from pyctr_tui.remaps import PRESETS, NoKey, command_names, key_from, keymap


def action(keys: Keymap, scope: str, key: str) -> str:
    command = keys.lookup(scope, key)
    return command.action if command else ""


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_no_conflicts_and_loses_no_action(preset: str) -> None:
    keys, said = keymap(preset, {})
    assert said == []
    assert {command.action for command in keys.commands} == {command.action for command in COMMANDS}
    for needed in ("help", "palette", "quit", "back", "open"):
        assert all(any(c.action == needed and c.keys for c in keys.of(scope)) for scope in ALL)


def test_the_default_preset_is_the_table() -> None:
    assert keymap("default", {})[0].commands == COMMANDS


@pytest.mark.parametrize(
    ("preset", "scope", "key", "does"),
    [
        ("lazydocker", "containers", "x", "menu"),
        ("lazydocker", "images", "x", "menu"),
        ("lazydocker", "tree", "x", "changed_only"),
        ("lazydocker", "containers", "left_square_bracket", "tab -1"),
        ("lazydocker", "graphs", "right_square_bracket", "tab 1"),
        ("lazydocker", "graphs", "left_curly_bracket", "scroll_time -1"),
        ("lazydocker", "containers", "m", "show_logs"),
        ("lazydocker", "containers", "E", "exec_full"),
        ("lazydocker", "containers", "b", "bulk"),
        ("lazydocker", "containers", "c", "custom"),
        ("k9s", "containers", "0", "show_all"),
        ("k9s", "graphs", "0", "host"),
        ("k9s", "containers", "d", "inspect"),
        ("k9s", "images", "d", "inspect"),
        ("k9s", "containers", "s", "exec"),
        ("k9s", "containers", "ctrl+d", "remove"),
        ("k9s", "images", "ctrl+d", "remove_image"),
        ("k9s", "volumes", "ctrl+d", "remove"),
        ("k9s", "jobs", "ctrl+d", "page 0.5"),
        ("k9s", "containers", "ctrl+s", "start_stop"),
        ("k9s", "containers", "9", "terminal"),
    ],
)
def test_what_presets_know(preset: str, scope: str, key: str, does: str) -> None:
    assert action(keymap(preset, {})[0], scope, key) == does


def test_keys_can_be_exchanged() -> None:
    keys, said = keymap("default", {"remove": ("x",), "show_diff": ("d",)})
    assert said == []
    assert action(keys, "containers", "x") == "remove"
    assert action(keys, "containers", "d") == "show_diff"
    assert action(keys, "volumes", "x") == "remove"


def test_a_conflict_says_who_has_the_key_and_the_rest_applies() -> None:
    keys, said = keymap("default", {"remove": ("x",), "view stacks": ("f5",)})
    assert said == ["keys: remove: x is “changes” in containers · give show_diff another key"]
    assert action(keys, "containers", "x") == "show_diff"
    assert action(keys, "containers", "d") == "remove"
    assert action(keys, "logs", "f5") == "view stacks"


def test_two_remaps_that_want_the_same_key() -> None:
    keys, said = keymap("default", {"pause": ("f6",), "limits": ("f6",)})
    assert len(said) == 1
    assert "F6" in said[0]
    assert {action(keys, "containers", key) for key in ("f6", "p", "M")} >= {"pause", "limits"}


def test_a_key_can_be_given_for_one_pane_and_taken_away() -> None:
    keys, said = keymap("default", {"images.run": ("f7",), "copy_mode": ()})
    assert said == []
    assert action(keys, "images", "f7") == "run"
    assert action(keys, "containers", "ctrl+n") == "run"
    assert action(keys, "containers", "ctrl+y") == ""
    keys, said = keymap("default", {"logs.remove": ("f7",), "remove": ("f8",)})
    assert said == []
    assert [action(keys, scope, "f7") for scope in ("logs", "containers")] == ["remove", ""]
    assert [action(keys, scope, "f8") for scope in ("logs", "containers", "volumes")] == ["", "remove", "remove"]
    keys, said = keymap("default", {"quit": ()})
    assert "can't be without a key" in said[0]
    assert action(keys, "containers", "q") == "quit"


def test_an_action_has_one_line_for_a_pane() -> None:
    seen: set[tuple[str, str]] = set()
    for command in COMMANDS:
        own = {(command.action, scope) for scope in (ALL if "*" in command.scopes else command.scopes)}
        assert not own & seen, command.action
        seen |= own


def test_every_key_of_the_table_can_be_written_as_it_is_shown() -> None:
    for command in COMMANDS:
        for key in command.keys:
            assert key_from(key_name(key)) == key
            assert key_from(key) == key


@pytest.mark.parametrize(
    "text", ["", "Hyper+X", "Ctrl+", "Ctrl+Hyper+x", "nothing", "Ctrl+I", "Ctrl+M", "Shift+1", "\x07"]
)
def test_what_is_no_key(text: str) -> None:
    assert isinstance(key_from(text), NoKey)


def test_names_of_actions() -> None:
    assert {"remove", "view stacks", "images.run", "page 0.5", "containers.remove"} <= command_names()


# -- quoting ------------------------------------------------------------------------------------------------------

HOSTILE = (
    "a b", "'; touch /tmp/owned; '", '"; id; "', "$(id)", "`id`", "a\nb", "*", "~", "-rf", "", "\\", "a'b\"c$d",
    "é 界", "#x", "{id}", "$'\\x41'", "!!", "a;b|c&d>e<f",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "template", ["printf %s. {name}", 'X=$(printf %s. {name}); printf %s "$X"', 'X={name}; printf %s. "$X"']
)
def test_a_hostile_name_is_one_word(name: str, template: str) -> None:
    assert template_refusal(template) is None
    line = fill(template, {"name": name, "id": "WRONG"})
    out = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout.decode()
    assert out == name + "."


@pytest.mark.parametrize(
    "template",
    [
        "echo '{name}'",
        'echo "{name}"',
        'sh -c "x {name}"',
        "echo `echo {name}`",
        "cat <<E\n{name}\nE",
        "echo \\{name}",
        "echo $(( {name} ))",
        "echo ${X:-{name}}",
        "echo $'{name}'",
        "echo {nmae}",
        "echo 'open {name}",
        "echo 'open",
        "echo x # {name}",
    ],
)
def test_templates_in_which_quotes_would_mean_nothing_are_refused(template: str) -> None:
    assert template_refusal(template) is not None


@pytest.mark.parametrize(
    "template", ["top", "awk '{print}' x", "docker ps --format '{{.Names}}'", "a ${X}", "echo {name} {id}"]
)
def test_other_braces_are_the_shells(template: str) -> None:
    assert template_refusal(template) is None
