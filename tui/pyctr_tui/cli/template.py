"""The part of Go's templates that people use with docker's ``--format``.

``{{.Field}}``, ``{{.A.B}}``, ``{{json .A}}``, ``{{upper .A}}``, ``{{lower .A}}``, ``{{len .A}}``,
``{{println .A}}``, ``{{index .A "key" 0}}``, ``{{.Label "key"}}``, ``{{range .A}}…{{end}}``,
``{{if .A}}…{{else}}…{{end}}``, ``{{- … -}}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from pyctr_tui.cli.options import UsageError

Value = object
Render = Callable[[Value], str]


def compile_template(text: str) -> Render:
    """A function that renders ``text`` for a value. Raises UsageError where the text is not understood."""
    tokens = _Tokens(text.replace("\\t", "\t").replace("\\n", "\n"))
    render, ended_by = _block(tokens)
    if ended_by:
        raise _error(f"{{{{{ended_by}}}}} without a beginning")
    return render


def show(value: Value) -> str:
    """A value as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


class _Tokens:
    """Text and actions in turn: pairs of (is action, content)."""

    def __init__(self, text: str) -> None:
        self._pairs = self._cut(text)

    def __iter__(self) -> Iterator[tuple[bool, str]]:
        return self._pairs

    @staticmethod
    def _cut(text: str) -> Iterator[tuple[bool, str]]:
        while text:
            plain, opening, rest = text.partition("{{")
            action, closing, text = rest.partition("}}")
            if opening and not closing:
                raise _error("{{ is never closed")
            if action.startswith("- "):
                plain = plain.rstrip()
                action = action[1:]
            if action.endswith(" -"):
                text = text.lstrip()
                action = action[:-1]
            if plain:
                yield False, plain
            if opening:
                yield True, action.strip()


def _block(tokens: _Tokens) -> tuple[Render, str]:
    """Everything up to ``end`` or ``else``; which of them it was, empty at the end of the text."""
    parts: list[Render] = []
    ended_by = ""
    for is_action, content in tokens:
        word = content.split(maxsplit=1)[0] if is_action and content else ""
        if word in ("end", "else"):
            ended_by = word
            break
        if not is_action:
            parts.append(lambda value, content=content: content)  # type: ignore[misc]
        elif word in ("range", "if"):
            parts.append(_branch(word, content[len(word) :], tokens))
        else:
            parts.append(_action(content))
    return (lambda value: "".join(part(value) for part in parts)), ended_by


def _branch(word: str, condition: str, tokens: _Tokens) -> Render:
    """``range`` or ``if``, with its ``else``."""
    get = _expression(condition)
    body, ended_by = _block(tokens)
    otherwise: Render = _nothing
    if ended_by == "else":
        otherwise, ended_by = _block(tokens)
    if ended_by != "end":
        raise _error(f"{{{{{word}}}}} has no {{{{end}}}}")

    def render(value: Value) -> str:
        found = get(value)
        if not found:
            return otherwise(value)
        if word == "if":
            return body(value)
        if isinstance(found, Mapping):
            return "".join(body(found[key]) for key in sorted(found))
        if isinstance(found, (list, tuple)):
            return "".join(body(item) for item in found)
        raise _error(f"range can't go over {show(found)}")

    return render


def _nothing(value: Value) -> str:
    return ""


def _action(content: str) -> Render:
    word, _, rest = content.partition(" ")
    functions: dict[str, Render] = {
        "json": lambda found: json.dumps(found, ensure_ascii=False),
        "upper": lambda found: show(found).upper(),
        "lower": lambda found: show(found).lower(),
        "println": lambda found: show(found) + "\n",
        "len": _length,
    }
    render = functions.get(word, show)
    get = _expression(rest if word in functions else content)
    return lambda value: render(get(value))


def _expression(text: str) -> Callable[[Value], Value]:
    """``.``, ``.A.B``, ``"text"``, or ``index`` of one of them; parentheses around it are ignored."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if text.startswith("index "):
        subject, *keys = text.split()[1:]
        steps = [_key(key) for key in keys]
        get = _expression(subject)
        return lambda value: _walk(get(value), steps)
    if text.startswith('.Label "') and text.endswith('"'):
        key = text[len('.Label "') : -1]
        return lambda value: _label(value, key)
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return lambda value: text[1:-1]
    if not text.startswith(".") or " " in text:
        raise _error(f"{{{{{text}}}}} is not understood")
    names = [name for name in text.split(".") if name]
    return lambda value: _walk(value, names)


def _label(value: Value, key: str) -> Value:
    """docker's ``.Label``: of a list's row, whose labels are one text."""
    labels = _walk(value, ["Labels"])
    pairs = [item.partition("=") for item in labels.split(",")] if isinstance(labels, str) else []
    return next((found for name, _, found in pairs if name == key), "")


def _key(text: str) -> str | int:
    return text.strip('"') if text.startswith('"') else int(text) if text.isdigit() else text


def _walk(value: Value, steps: Sequence[str | int]) -> Value:
    for step in steps:
        if isinstance(value, Mapping):
            if step not in value:
                raise _unknown(step, value)
            value = value[step]
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            raise _error(f"there is no {step} in {show(value)}")
    return value


def _length(value: Value) -> str:
    return str(len(value)) if isinstance(value, (str, Mapping, list, tuple)) else "0"


def _unknown(step: str | int, value: Mapping[str, Value]) -> UsageError:
    return _error(f"there is no field .{step}", "there are: " + ", ".join(f".{key}" for key in value))


def _error(message: str, hint: str = "") -> UsageError:
    error = UsageError(f"--format: {message}", hint or "a template is like '{{.Names}}: {{json .Labels}}'")
    error.exit_code = 1
    return error
