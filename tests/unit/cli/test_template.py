"""The part of Go's templates that people use."""

from __future__ import annotations

import pytest

from pyctr_tui.cli.options import UsageError
from pyctr_tui.cli.template import compile_template

VALUE = {
    "Name": "web",
    "Running": True,
    "Nothing": None,
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"z": "1", "a": "2"}},
    "Networks": {"bridge": {"IPAddress": "10.0.0.2"}, "other": {"IPAddress": "10.1.0.2"}},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Name }}: {{.Running}}", "web: true"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a:2 z:1]"),
        ("{{json .Config.Env}}", '["A=1", "B=2"]'),
        ("{{json .Running}}", "true"),
        ("{{upper .Name}}{{lower .Name}}", "WEBweb"),
        ("{{len .Config.Env}}", "2"),
        (r"{{.Name}}\t{{.Name}}", "web\tweb"),
        ('{{index .Config.Labels "z"}}', "1"),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{range .Networks}}{{.IPAddress}} {{end}}", "10.0.0.2 10.1.0.2 "),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{if .Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Nothing}}up{{else}}down{{end}}", "down"),
        ("a {{- .Name -}} b", "awebb"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert compile_template(template)(VALUE) == text


@pytest.mark.parametrize(
    "template", ["{{.Name", "{{range .Networks}}", "{{end}}", "{{nope .Name}}", "{{template x}}"]
)
def test_what_is_not_understood(template: str) -> None:
    with pytest.raises(UsageError):
        compile_template(template)(VALUE)


def test_an_unknown_field_says_which_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        compile_template("{{.Config.Cmd}}")(VALUE)
    assert "no field .Cmd" in str(raised.value)
    assert ".Env, .Labels" in raised.value.hint
    assert raised.value.exit_code == 1
