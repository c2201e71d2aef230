"""``run`` and ``create``."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from pyctr_engine.errors import CommandError, EngineError
from pyctr_tui.cli import detach, remarks, values
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option, Parsed, UsageError
from pyctr_tui.cli.request import OPTIONS, request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctr_engine.engine import Session
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.spec import ContainerRequest
    from pyctr_tui.cli.options import Parsed
    from pyctr_tui.cli.progress_rows import ProgressRows

ENGINE_FAILURE = 125

_RUN = Grammar(
    "run",
    "IMAGE [COMMAND [ARGUMENT…]]",
    "Make a container and start it, attached unless -d says otherwise. Its exit code becomes ours.",
    Option("-d, --detach", "Leave it running and print its id"),
    Option("--layer", "Its state after that layer (as IMAGE@N); without a command, a shell in it", "N"),
    *OPTIONS,
    detach.OPTION,
    Option("--sig-proxy", "Pass signals on (the default; --sig-proxy=false)"),
    least=1,
    most=None,
    interspersed=False,
)
_CREATE = Grammar(
    "create",
    "IMAGE [COMMAND [ARGUMENT…]]",
    "Make a container without starting it, and print its id.",
    *OPTIONS,
    least=1,
    most=None,
    interspersed=False,
)


def run(call: Call, words: Sequence[str]) -> int:
    """``run``: 125 when the engine fails, 126 or 127 when the program can't be run, else the program's own code."""
    parsed = _RUN.parse(words)
    with engine_failures():
        wanted = _after_layer(request(parsed), parsed) if "layer" in parsed else request(parsed)
        keys = detach.parse_keys(parsed.value("detach-keys"))
        if parsed.flag("detach"):
            return _run_detached(call, wanted, _pulls(parsed))
        check_terminal(tty=wanted.tty, stdin=wanted.stdin_open)
        container, session = call.engine.run(wanted, _pulls(parsed))
        remarks.host_ids(container)
        remarks.plain_binds(container.status.plain_binds)
        proxy = parsed.flag("sig-proxy", default=True)
        return attached(call, container.id, session, wanted, keys, proxy=proxy)


def create(call: Call, words: Sequence[str]) -> int:
    """``create``."""
    parsed = _CREATE.parse(words)
    with engine_failures():
        print(call.engine.create(request(parsed), _pulls(parsed)).id)
    return 0


def _after_layer(wanted: ContainerRequest, parsed: Parsed) -> ContainerRequest:
    """The same of an image's state after a layer; what the image runs may not be there yet, so a shell is."""
    from pyctr_engine.record import replace

    wanted = replace(wanted, image=f"{wanted.image}@{values.number(parsed.value('layer'), '--layer'):.0f}")
    if wanted.command is None and wanted.entrypoint is None:
        wanted = replace(wanted, entrypoint=(), command=("sh",))
    return wanted


class _Pulls:
    """Shows a pull on standard error; nothing is imported for it before there is one."""

    def __init__(self) -> None:
        self._rows: ProgressRows | None = None

    def __call__(self, step: Progress) -> None:
        if self._rows is None:
            from pyctr_tui.cli.progress_rows import ProgressRows

            self._rows = ProgressRows(sys.stderr)
        self._rows(step)


def _pulls(parsed: Parsed) -> _Pulls | None:
    return None if parsed.flag("quiet") else _Pulls()


def _run_detached(call: Call, wanted: ContainerRequest, progress: _Pulls | None) -> int:
    container = call.engine.create(wanted, progress)
    try:
        started = call.engine.start(container.id)
    except BaseException:
        with contextlib.suppress(EngineError):  # what could not be started is not left behind
            call.engine.remove(container.id, force=True, volumes=True)
        raise
    remarks.host_ids(container)
    remarks.plain_binds(started.status.plain_binds)
    print(container.id)
    return 0


def attached(
    call: Call, ref: str, session: Session, wanted: ContainerRequest, keys: bytes, *, proxy: bool, stdin: bool = True
) -> int:
    """Stay with a container's first program until it ends or the user detaches; the exit code for ours."""
    from pyctr_tui.cli.attach import pump

    engine = call.engine
    try:
        code = pump(
            session,
            tty=wanted.tty,
            stdin=stdin and wanted.stdin_open,
            detach_keys=keys,
            send_signal=(lambda name: engine.kill(ref, name)) if proxy and not wanted.tty else None,
        )
    finally:
        session.close()
    return 0 if code is None else code


def check_terminal(*, tty: bool, stdin: bool) -> None:
    """Refuse a terminal that is fed from something that is none, as docker does."""
    if tty and stdin and not is_terminal(0):
        raise UsageError("standard input is not a terminal", "leave -t out to feed a program from a pipe or a file")


@contextlib.contextmanager
def engine_failures() -> Iterator[None]:
    """Make the engine's failures 125, as docker's `run` does, to tell them from the program's own codes."""
    try:
        yield
    except CommandError:
        raise
    except EngineError as error:
        if error.exit_code == 1:
            error.exit_code = ENGINE_FAILURE
        raise
