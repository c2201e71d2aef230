"""What is done to containers that are there: start, stop, restart, kill, pause, unpause, wait, remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyctr_engine.errors import EngineError, NotFound
from pyctr_tui.cli import detach, values
from pyctr_tui.cli.call import Call, report
from pyctr_tui.cli.options import Grammar, Option

SIDE_BY_SIDE = 16
_SECONDS = Option("-t, --timeout, --time", "Seconds before SIGKILL", "SECONDS")


def _grammar(command: str, summary: str, *options: Option) -> Grammar:
    return Grammar(command, "CONTAINER…", summary, *options, least=1, most=None)


_START = _grammar(
    "start",
    "Start containers that were made or have ended.",
    Option("-a, --attach", "Stay attached; its exit code becomes ours"),
    Option("-i, --interactive", "Attach, and pass our standard input on"),
    detach.OPTION,
    Option("--sig-proxy", "Pass signals on (the default; --sig-proxy=false)"),
)
_STOP = _grammar("stop", "Stop containers: their stop signal, and SIGKILL after a while.", _SECONDS)
_RESTART = _grammar("restart", "Stop containers and start them again.", _SECONDS)
_KILL = _grammar("kill", "Send containers a signal.", Option("-s, --signal", "Signal, KILL by default", "SIGNAL"))
_PAUSE = _grammar("pause", "Freeze all processes of containers.")
_UNPAUSE = _grammar("unpause", "Let paused containers go on.")
_WAIT = _grammar("wait", "Wait until containers end, and print their exit codes.")
_REMOVE = _grammar(
    "rm",
    "Remove containers.",
    Option("-f, --force", "Kill running ones first"),
    Option("-v, --volumes", "Remove their unnamed volumes too"),
)


def each(
    references: Sequence[str], act: Callable[[str], object], *, echo: bool = True, may_be_gone: bool = False
) -> int:
    """Do the same to each, as docker does: print what worked, report what didn't and go on; 1 if anything didn't.

    ``may_be_gone``: what isn't there is reported, but is no failure.
    """
    return _told([(reference, lambda ref=reference: act(ref)) for reference in references], echo, may_be_gone)  # type: ignore[misc]


def all_at_once(
    call: Call, references: Sequence[str], act: Callable[[str], object], *, may_be_gone: bool = False
) -> int:
    """The same, some side by side: stopping waits for what stops, each for itself."""
    if len(references) < 2:
        return each(references, act, may_be_gone=may_be_gone)
    from concurrent.futures import ThreadPoolExecutor

    with call.engine.batch(), ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        work = [(reference, pool.submit(act, reference).result) for reference in references]
        return _told(work, True, may_be_gone)


def _told(work: Sequence[tuple[str, Callable[[], object]]], echo: bool, may_be_gone: bool) -> int:
    failed = False
    for reference, result in work:
        try:
            result()
        except EngineError as error:
            report(error.message, error.hint)
            failed = failed or not (may_be_gone and isinstance(error, NotFound))
        else:
            if echo:
                print(reference, flush=True)
    return int(failed)


def start(call: Call, words: Sequence[str]) -> int:
    """``start``."""
    parsed = _START.parse(words)
    stdin = parsed.flag("interactive")
    if not stdin and not parsed.flag("attach"):
        return each(parsed.arguments, call.engine.start)
    if len(parsed.arguments) > 1:
        raise _START.error("only one container can be attached to")
    from pyctr_tui.cli.run import attached, check_terminal, engine_failures

    keys = detach.parse_keys(parsed.value("detach-keys"))
    with engine_failures():
        container = call.engine.container(parsed.arguments[0])
        request = container.spec.request
        check_terminal(tty=request.tty, stdin=stdin and request.stdin_open)
        session = call.engine.start_attached(container.id)
        proxy = parsed.flag("sig-proxy", default=True)
        return attached(call, container.id, session, request, keys, proxy=proxy, stdin=stdin)


def stop(call: Call, words: Sequence[str]) -> int:
    """``stop``."""
    parsed = _STOP.parse(words)
    timeout = values.number(parsed.value("time"), "--time") if "time" in parsed else None
    return all_at_once(call, parsed.arguments, lambda ref: call.engine.stop(ref, timeout))


def restart(call: Call, words: Sequence[str]) -> int:
    """``restart``."""
    parsed = _RESTART.parse(words)
    timeout = values.number(parsed.value("time"), "--time") if "time" in parsed else None
    return all_at_once(call, parsed.arguments, lambda ref: call.engine.restart(ref, timeout))


def kill(call: Call, words: Sequence[str]) -> int:
    """``kill``."""
    parsed = _KILL.parse(words)
    signal = parsed.value("signal", "KILL")
    return all_at_once(call, parsed.arguments, lambda ref: call.engine.kill(ref, signal))


def pause(call: Call, words: Sequence[str]) -> int:
    """``pause``."""
    return each(_PAUSE.parse(words).arguments, call.engine.pause)


def unpause(call: Call, words: Sequence[str]) -> int:
    """``unpause``."""
    return each(_UNPAUSE.parse(words).arguments, call.engine.unpause)


def wait(call: Call, words: Sequence[str]) -> int:
    """``wait``."""
    return each(_WAIT.parse(words).arguments, lambda ref: print(call.engine.wait(ref), flush=True), echo=False)


def remove(call: Call, words: Sequence[str]) -> int:
    """``rm``."""
    parsed = _REMOVE.parse(words)
    force, volumes = parsed.flag("force"), parsed.flag("volumes")
    return all_at_once(call, parsed.arguments, lambda ref: call.engine.remove(ref, force, volumes), may_be_gone=force)
