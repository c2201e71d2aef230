"""``up``, ``down``, ``stack ls`` and ``stack config``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_tui.cli import output, remarks, stackref, text, values
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option, Parsed
from pyctr_tui.cli.progress import ProgressLine

if TYPE_CHECKING:
    from pyctr_engine.model.stack import Action, Stack
    from pyctr_engine.model.status import Container

POLL = 0.1
"""Seconds between two looks at a stack's containers."""

_UP = Grammar(
    "up",
    "[STACK.yaml]",
    "Make a stack's containers be as its file says; what is so already is left alone. With a terminal, the\n"
    "interface opens on the stack, unless -d or --wait says otherwise.",
    stackref.FILE,
    stackref.NAME,
    Option("-d, --detach", "Return when all are started"),
    Option("--wait", "Return when all are running, and healthy if they have checks"),
    Option("--wait-timeout", "Seconds to wait at most, 60 by default", "SECONDS"),
    Option("--dry-run", "Only say what would be done"),
    Option("--pull", "Pull images: missing, always, never; instead of what the file says", "POLICY"),
    most=1,
)
_DOWN = Grammar(
    "down",
    "[STACK.yaml | NAME]",
    "Stop and remove a stack's containers.",
    stackref.FILE,
    stackref.NAME,
    Option("-v, --volumes", "Remove its volumes too"),
    most=1,
)
_LIST = Grammar("stack ls", "", "List stacks.", Option("-q, --quiet", "Only names"), output.LIST_FORMAT)
_CONFIG = Grammar(
    "stack config",
    "[STACK.yaml]",
    "Show a stack file, interpolated and normalised.",
    stackref.FILE,
    stackref.NAME,
    Option("-q, --quiet", "Only check it"),
    most=1,
)


class NotUpError(EngineError):
    """``--wait``: a container of the stack ended, or the time did."""


def up(call: Call, words: Sequence[str]) -> int:
    """``up``."""
    parsed = _UP.parse(words)
    stack = call.engine.load_stack(_file(parsed), parsed.value("name"))
    for warning in stack.warnings:
        print(f"pyctr-tui: warning: {text.harmless(warning)}", file=sys.stderr)
    if parsed.flag("dry-run"):
        for action in call.engine.plan(stack):
            output.line(f"{action.container}  {action.kind}{f': {action.reason}' if action.reason else ''}")
        return 0
    with ProgressLine(sys.stdout) as progress:
        actions = call.engine.up(stack, progress, parsed.value("pull"))
    _warn_of_binds(call, actions)
    if all(action.kind == "keep" for action in actions):
        output.line(f"{stack.name}  up to date")
    if parsed.flag("wait"):
        timeout = values.number(parsed.value("wait-timeout", "60"), "--wait-timeout")
        _wait(call, stack, timeout)
        output.line(f"{stack.name}  running")
    elif not parsed.flag("detach") and all(is_terminal(fd) for fd in (0, 1, 2)):
        from pyctr_tui.app import run_app

        return run_app(call.engine, stack.name)
    return 0


def down(call: Call, words: Sequence[str]) -> int:
    """``down``."""
    parsed = _DOWN.parse(words)
    name = parsed.value("name")
    path = ""
    if parsed.arguments or "file" in parsed or not name:
        word = _file(parsed)
        path = word if stackref.is_file(word) else ""
        name = stackref.stack_name(call, word, name)
    with ProgressLine(sys.stdout) as progress:
        actions = call.engine.down(name, parsed.flag("volumes"), progress, path)
    if not actions:
        output.line(f"{name}  nothing to stop")
    return 0


def list_(call: Call, words: Sequence[str]) -> int:
    """``stack ls``."""
    parsed = _LIST.parse(words)
    found = call.engine.stacks()
    if parsed.flag("quiet"):
        output.lines(stack.name for stack in found)
        return 0
    rows = (
        {
            "Name": stack.name,
            "Status": f"running({stack.running}/{stack.total})",
            "ConfigFiles": stack.path,
            "Running": stack.running,
            "Total": stack.total,
        }
        for stack in found
    )
    output.rows(rows, parsed.value("format"), ("Name", "Status", "ConfigFiles"))
    return 0


def config(call: Call, words: Sequence[str]) -> int:
    """``stack config``."""
    parsed = _CONFIG.parse(words)
    shown = call.engine.stack_config(_file(parsed), parsed.value("name"))
    if not parsed.flag("quiet"):
        show = text.harmless_line if is_terminal(1) else str
        output.lines(map(show, shown.splitlines()))
    return 0


def _warn_of_binds(call: Call, actions: Sequence[Action]) -> None:
    begun = [action for action in actions if action.kind != "keep"]
    names = {action.request.name if action.request else action.container for action in begun}
    for container in call.engine.containers() if names else ():
        if container.name in names:
            remarks.plain_binds(container.status.plain_binds, container.name)


def _file(parsed: Parsed) -> str:
    return stackref.find_file((parsed.arguments or [parsed.value("file")])[0])


def _wait(call: Call, stack: Stack, timeout: float) -> None:
    """Until every container of the stack is up: runs (and is healthy), or has ended with 0. Raises NotUpError."""
    deadline = time.monotonic() + timeout
    while True:
        members = [container for container in call.engine.containers() if container.stack == stack.name]
        for container in members:
            if container.state == "exited" and container.status.exit_code:
                raise NotUpError(
                    f"{container.name} ended with {container.status.exit_code}", f"`pyctr-tui logs {container.name}`"
                )
            if container.status.health == "unhealthy":
                raise NotUpError(
                    f"{container.name} is unhealthy", f"`pyctr-tui inspect --why {container.name}` says more"
                )
        waiting = [container for container in members if not _is_up(container)]
        if not waiting:
            return
        if time.monotonic() > deadline:
            how = waiting[0].status.health or waiting[0].state
            raise NotUpError(f"{waiting[0].name} is {how} after {timeout:g} seconds")
        time.sleep(POLL)


def _is_up(container: Container) -> bool:
    """Runs, and is healthy if it has checks; or has done what it was for."""
    if container.state == "running":
        return container.status.health in ("", "healthy")
    return container.state == "exited" and container.status.exit_code == 0
