"""The program's entry: global options, the command's module, and what becomes of errors.

Import budget: this file is read before anything else on every call, and imports next to nothing at its top.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

TYPE_CHECKING = False  # typing's own costs 8 ms, which the spawner can better use
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_engine.engine import Engine
    from pyctr_tui.cli.call import Call
    from pyctr_tui.cli.commands import Command

ENGINE_FAILURE = 125
BROKEN_PIPE = 141
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None, engine: Engine | None = None) -> int:
    """Run one command and return its exit code; ``engine`` replaces the one that the options name.

    Without ``argv`` this is the whole program and does not return: at its own end the interpreter would take
    everything apart, piece by piece, which is 20 ms of every call.
    """
    if argv is not None:
        return _guarded(list(argv), engine)
    _open_missing_streams()
    code = _guarded(sys.argv[1:], engine)
    sys.stderr.flush()
    os._exit(code)


def _open_missing_streams() -> None:
    """Put the null device where a standard stream was closed at the call (``>&-``).

    Else the next file that is opened, the database say, would be descriptor 1, and be written to as our output.
    """
    null = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: below 3 only if one is missing
    while null < 3:
        os.set_inheritable(null, True)
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long-lived as we are
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _guarded(words: list[str], engine: Engine | None) -> int:
    """Run one command; whatever goes wrong becomes a sentence and an exit code."""
    try:
        code = _run(words, engine)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: no complaint, now or when the interpreter flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, a person gets one sentence
        return _report(error)
    return code


def _run(words: list[str], engine: Engine | None) -> int:
    from pyctr_tui.cli.call import Call
    from pyctr_tui.cli.options import HelpRequested

    options, words = _global_options(words)
    if "help" in options:
        sys.stdout.write(help_text())
        return 0
    if "version" in options:
        words = ["version"]
    if "ascii" in options:
        os.environ["PYCTR_ASCII"] = "1"
    call = Call(options.get("state-dir"), options.get("run-dir"))
    if engine is not None:
        call.engine = engine
    try:
        return _dispatch(call, words) if words else _open_tui(call)
    except HelpRequested as request:
        sys.stdout.write(str(request))
        return 0
    finally:
        call.close()


def _global_options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options before the command, and the rest."""
    options: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name in ("--help", "-h", "--version", "-v", "--ascii") and not equals:
            options[{"-h": "help", "-v": "version"}.get(name, name[2:])] = ""
        elif name in ("--state-dir", "--run-dir"):
            if not equals and not rest:
                raise _usage_error(f"{name} needs a directory")
            options[name[2:]] = value if equals else rest.pop(0)
        else:
            raise _usage_error(f"there is no option {name} before a command")
    return options, rest


def _dispatch(call: Call, words: list[str]) -> int:
    from importlib import import_module

    command, rest = _find(words)
    if command.warm and not {"--help", "-h"}.intersection(rest[:1]):
        # The spawner starts while we import and parse.
        call.engine.warm()
    module = import_module(f"pyctr_tui.cli.{command.module}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("pyctr", _encode_anyway)
        sys.stdout.reconfigure(errors="pyctr")
    code: int = getattr(module, command.function)(call, rest)
    return code


def _encode_anyway(error: UnicodeError) -> tuple[str | bytes, int]:
    """File names need not be UTF-8: their bytes stay. What the terminal's encoding lacks is a question mark."""
    if isinstance(error, UnicodeEncodeError) and not "\udc80" <= error.object[error.start] <= "\udcff":
        return "?", error.start + 1
    return codecs.lookup_error("surrogateescape")(error)


def _find(words: list[str]) -> tuple[Command, list[str]]:
    """The command that ``words`` begin with, one word or two, and the rest."""
    from pyctr_tui.cli.commands import ALIASES, COMMANDS

    for length in (2, 1):
        name = " ".join(words[:length])
        command = COMMANDS.get(ALIASES.get(name, name))
        if command is not None:
            return command, words[length:]
    if words[0] == "help":
        return _find([*words[1:], "--help"])
    if words[-1] in ("--help", "-h"):
        from pyctr_tui.cli.options import HelpRequested

        raise HelpRequested(help_text())
    from pyctr_tui.cli.docker import elsewhere

    hint = elsewhere(words)
    if hint:
        raise _usage_error(f"docker's `{words[0]}` is not here", hint)
    import difflib

    near = difflib.get_close_matches(" ".join(words[:2]), [*COMMANDS, *ALIASES], n=1)
    near = near or difflib.get_close_matches(words[0], COMMANDS, n=1)
    group = [name for name in COMMANDS if name.startswith(words[0] + " ")]
    if group:
        raise _usage_error(f"{words[0]} is the beginning of: {', '.join(group)}")
    raise _usage_error(f"there is no command {words[0]}", f"did you mean `pyctr-tui {near[0]}`?" if near else "")


def _open_tui(call: Call) -> int:
    from pyctr_tui.app import run_app

    return run_app(call.engine)


def help_text() -> str:
    """What ``pyctr-tui --help`` prints."""
    from pyctr_tui.cli.commands import GROUPS

    width = max(len(name) for group in GROUPS.values() for name in group)
    lines = [
        "Usage: pyctr-tui [--state-dir DIR] [--run-dir DIR] [--ascii] [COMMAND]",
        "",
        "Without a command: the terminal interface. `pyctr-tui COMMAND --help` says more about one.",
    ]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<{width}}  {c.summary}" for name, c in commands.items())]
    lines += [
        "",
        "Options:",
        "  --state-dir DIR  where images, containers and volumes are kept (PYCTR_STATE_DIR)",
        "  --run-dir DIR    where running containers' sockets are (PYCTR_RUN_DIR)",
        "  --ascii          print and draw with ASCII only (PYCTR_ASCII=1)",
        "  --version        show the version",
    ]
    return "\n".join(lines) + "\n"


def _surroundings(error: Exception) -> tuple[str, str] | None:
    """What goes wrong around us, not in the engine (whose errors are told before they come here)."""
    import errno

    known = {
        errno.ENOSPC: ("cannot write the output: no space left on device", "free some space where it goes"),
        errno.EIO: ("cannot write the output: input/output error", ""),
        errno.EMFILE: ("this process may open no more files", "`ulimit -n` shows how many; 256 are plenty"),
        errno.ENFILE: ("no process may open any more files", "`sysctl fs.file-max` shows how many"),
    }
    if isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "new thread" in str(error)):
        return "no more processes or threads can be made", "`ulimit -u` and the cgroup's pids.max limit them"
    return known.get(error.errno or 0) if isinstance(error, OSError) else None


def _usage_error(message: str, hint: str = "") -> Exception:
    from pyctr_tui.cli.options import UsageError

    return UsageError(message, hint or "`pyctr-tui --help` lists commands and options")


def _report(error: Exception) -> int:
    """Show an error as one sentence and a hint; its exit code."""
    from pyctr_engine.errors import EngineError
    from pyctr_tui.cli.call import report

    if os.environ.get("PYCTR_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    if isinstance(error, EngineError):
        report(error.message, error.hint)
        return error.exit_code
    around = _surroundings(error)
    if around is not None:
        report(*around)
        return ENGINE_FAILURE
    hint = "please report it, with what PYCTR_DEBUG=1 shows of it"
    report(f"something unexpected went wrong: {type(error).__name__}: {error}", hint)
    return ENGINE_FAILURE


if __name__ == "__main__":
    sys.exit(main())
