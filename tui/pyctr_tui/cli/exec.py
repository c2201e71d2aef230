"""``exec`` and ``attach``: the streams of a running container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict
from pyctr_engine.model.spec import ExecRequest
from pyctr_tui.cli import detach
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.environment import environment
from pyctr_tui.cli.options import Grammar, Option
from pyctr_tui.cli.run import attached, check_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    detach.OPTION,
    least=2,
    most=None,
    interspersed=False,
)
_ATTACH = Grammar(
    "attach",
    "CONTAINER",
    "Attach to a running container's first program.",
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
        call.engine.exec(ref, request).close()
        return 0
    check_terminal(tty=request.tty, stdin=request.stdin)
    session = call.engine.exec(ref, request)
    try:
        from pyctr_tui.cli.attach import pump

        code = pump(session, tty=request.tty, stdin=request.stdin, detach_keys=keys)
    finally:
        session.close()
    return 0 if code is None else code


def attach(call: Call, words: Sequence[str]) -> int:
    """``attach``."""
    parsed = _ATTACH.parse(words)
    keys = detach.parse_keys(parsed.value("detach-keys"))
    container = call.engine.container(parsed.arguments[0])
    if not container.state.can_exec:
        raise Conflict(
            f"{container.name} is {container.state}, not running", f"`pyctr-tui start -ai {container.name}`"
        )
    request = container.spec.request
    stdin = not parsed.flag("no-stdin")
    check_terminal(tty=request.tty, stdin=stdin and request.stdin_open)
    session = call.engine.attach(container.id)
    proxy = parsed.flag("sig-proxy", default=True)
    return attached(call, container.id, session, request, keys, proxy=proxy, stdin=stdin)
