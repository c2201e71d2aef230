"""``exec`` and ``attach``: the streams of a running container."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict
from pyctr_engine.model.spec import ExecRequest
from pyctr_tui.cli import detach, output, text
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.environment import environment
from pyctr_tui.cli.options import Grammar, Option, Parsed
from pyctr_tui.cli.record import recording
from pyctr_tui.cli.run import attached, check_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_engine.engine import Session

_EXEC = Grammar(
    "exec",
    "CONTAINER COMMAND [ARGUMENT…]",
    "Run a further program in a running container. Its exit code becomes ours.",
    Option("-d, --detach", "Leave it running"),
    Option("-i, --interactive", "Pass our standard input on"),
    Option("-t, --tty", "Give it a terminal"),
    Option("-e, --env", "Set a variable; without a value, pass ours on", "KEY[=VALUE]", many=True),
    Option("--env-file", "Read variables from a file", "FILE", many=True),
    Option("-w, --workdir", "Working directory inside", "DIR"),
    Option("-u, --user", "User and group inside", "USER[:GROUP]"),
    Option("--privileged", "All capabilities that the container's user namespace has"),
    Option("--list", "List the container's sessions: what runs in it beside its own program"),
    Option("--record", "Record what its terminal shows, as asciicast v2", "FILE"),
    detach.OPTION,
    output.LIST_FORMAT,
    least=1,
    most=None,
    interspersed=False,
)
_ATTACH = Grammar(
    "attach",
    "CONTAINER",
    "Attach to a running container's first program, or to a session of `exec`.",
    Option("--session", "A session's id (`exec --list CONTAINER` lists them); what it wrote last comes first", "ID"),
    Option("--record", "Record what its terminal shows, as asciicast v2", "FILE"),
    Option("--no-stdin", "Don't pass our standard input on"),
    Option("--sig-proxy", "Pass signals on (the default; --sig-proxy=false)"),
    detach.OPTION,
    least=1,
    most=1,
)


def exec_(call: Call, words: Sequence[str]) -> int:
    """``exec``."""
    parsed = _EXEC.parse(words)
    ref, *argv = parsed.arguments
    if parsed.flag("list"):
        return _list(call, ref, parsed.value("format"))
    if not argv:
        raise _EXEC.error("no command given", f"name one: `pyctr-tui exec {ref} COMMAND`")
    request = ExecRequest(
        argv=tuple(argv),
        env=environment(parsed.values("env-file"), parsed.values("env")),
        working_dir=parsed.value("workdir"),
        user=parsed.value("user"),
        tty=parsed.flag("tty"),
        stdin=parsed.flag("interactive"),
        privileged=parsed.flag("privileged"),
    )
    keys = detach.parse_keys(parsed.value("detach-keys"))
    if parsed.flag("detach"):
        if "record" in parsed:
            raise _EXEC.error("what is left running can't be recorded", "leave out -d, or --record")
        call.engine.exec(ref, request).close()
        return 0
    check_terminal(tty=request.tty, stdin=request.stdin)
    with recording(parsed.value("record"), request.tty) as record:
        session = call.engine.exec(ref, request)
        return _watch(record(session), ref, session.id, request.tty, request.stdin, keys)


def _watch(session: Session, ref: str, id: str, tty: bool, stdin: bool, keys: bytes) -> int:
    """Pass a session's streams on until it ends; leaving it says how to come back."""
    from pyctr_tui.cli.attach import pump

    try:
        code = pump(session, tty=tty, stdin=stdin, detach_keys=keys)
    finally:
        session.close()
    if code is None:
        print(f"left; it goes on: `pyctr-tui attach --session {id} {ref}` comes back", file=sys.stderr)
    return code or 0


def _list(call: Call, ref: str, format: str) -> int:
    now = time.time()
    rows = (
        {
            "ID": session.id,
            "Pid": session.pid,
            "Status": "running" if session.exit_code is None else f"exited ({session.exit_code})",
            "Started": text.ago(session.started, now),
            "Terminal": session.tty,
            "Viewers": session.viewers,
            "Command": " ".join(session.argv),
        }
        for session in call.engine.sessions(ref)
    )
    output.rows(rows, format, ("ID", "Status", "Started", "Terminal", "Viewers", "Command"))
    return 0


def attach(call: Call, words: Sequence[str]) -> int:
    """``attach``."""
    parsed = _ATTACH.parse(words)
    keys = detach.parse_keys(parsed.value("detach-keys"))
    container = call.engine.container(parsed.arguments[0])
    if parsed.value("session"):
        return _reattach(call, container.name, parsed, keys)
    if not container.state.can_exec:
        raise Conflict(
            f"{container.name} is {container.state}, not running", f"`pyctr-tui start -ai {container.name}`"
        )
    request = container.spec.request
    stdin = not parsed.flag("no-stdin")
    check_terminal(tty=request.tty, stdin=stdin and request.stdin_open)
    proxy = parsed.flag("sig-proxy", default=True)
    with recording(parsed.value("record"), request.tty) as record:
        session = record(call.engine.attach(container.id))
        return attached(call, container.id, session, request, keys, proxy=proxy, stdin=stdin)


def _reattach(call: Call, name: str, parsed: Parsed, keys: bytes) -> int:
    """Come back to a session of `exec`."""
    id = parsed.value("session")
    tty = any(session.tty for session in call.engine.sessions(name) if session.id.startswith(id))
    stdin = not parsed.flag("no-stdin")
    check_terminal(tty=tty, stdin=stdin and tty)
    with recording(parsed.value("record"), tty) as record:
        session, _ = call.engine.reattach(name, id)
        return _watch(record(session), name, session.id, tty, stdin, keys)
