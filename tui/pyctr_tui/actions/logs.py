"""What is done with a log: saved to a file, or read by another program."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine.errors import told_as
from pyctr_engine.model.progress import Progress
from pyctr_tui.actions.actions import Actions
from pyctr_tui.actions.archives import no_directory, replaces, whole
from pyctr_tui.cli.text import timestamp
from pyctr_tui.dialogs.form import Answers, Field
from pyctr_tui.figures import count, exact_size
from pyctr_tui.safe_text import safe, safe_log

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_tui.jobs import Job

PIECE = 64 << 10
"""Bytes that are written at once."""


class LogActions(Actions):
    """On the log of the selected container, all of it: also what was rotated away from the file in sight."""

    def action_save_log(self) -> None:
        """Write it to a file."""
        container = self._one()
        if container is None:
            return
        engine = self._home.application.engine

        def line(answers: Answers) -> str:
            times = " -t" if answers["times"] else ""
            return f"logs{times} {container.name} > {shlex.quote(answers['path'])}"

        def then(answers: Answers) -> None:
            path, times = whole(answers["path"]), bool(answers["times"])

            def work(job: Job) -> str:
                lines = written = 0
                with told_as(f"write {path}"), open(path, "wb") as file:
                    for lines, data in pieces(engine, container.id, times):  # noqa: B007 - the last one is told
                        file.write(data)
                        written += len(data)
                        job.report(Progress(container.name, "writing", written))
                return f"{count(lines, 'line')} ({exact_size(written)}) of {container.name} in {safe(path)}"

            title = f"saving the log of {container.name}"
            self._jobs.run(title, work, cli=line(answers), cancellable=True, again=True)

        self._form(
            f"Save the log of {container.name}",
            [
                Field("path", "file", f"./{container.name}.log", needed=True),
                Field("times", "times", switch=True, hint="when each line was printed, before it"),
            ],
            "saves",
            then,
            line,
            lambda answers: no_directory(answers["path"]),
            remark=lambda answers: replaces(answers["path"]),
        )

    def action_pipe_log(self) -> None:
        """Give it to a program of the host, over the whole screen: a pager unless another is typed."""
        container = self._one()
        if container is None:
            return
        pager = os.environ.get("PAGER") or "less"

        def line(answers: Answers) -> str:
            return f"logs {container.name} | {answers['command']}"

        def then(answers: Answers) -> None:
            from pyctr_tui.terminal import host

            application, command = self._home.application, answers["command"]
            text = (data for _, data in pieces(application.engine, container.id, False, safe_log))
            said, tone = host.run(
                application, ("/bin/sh", "-c", command), safe(command), pause=command != pager, feed=text
            )
            self._jobs.note(line(answers), said)
            self._home.notify_line(said, tone)

        self._form(
            f"Give the log of {container.name} to",
            [Field("command", "command", pager, "grep -c ERROR, jq ., $PAGER", needed=True)],
            "runs",
            then,
            line,
        )


def pieces(
    engine: Engine, ref: str, times: bool, made: Callable[[str], str] = lambda text: text
) -> Iterator[tuple[int, bytes]]:
    """The text of a log in pieces of some kilobytes, each with how many lines there were so far.

    ``made``: what becomes of the text of a line.
    """
    out: list[bytes] = []
    size = lines = 0
    fresh = True
    for entry in engine.logs(ref):
        when = f"{timestamp(entry.time)} " if times and fresh else ""
        fresh = not entry.partial
        lines += fresh
        data = f"{when}{made(entry.text)}{'' if entry.partial else chr(10)}".encode("utf-8", "surrogateescape")
        out.append(data)
        size += len(data)
        if size >= PIECE:
            yield lines, b"".join(out)
            out, size = [], 0
    if out:
        yield lines, b"".join(out)
