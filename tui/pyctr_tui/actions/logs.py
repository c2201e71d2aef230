"""What is done in the pane of logs, and with a log: saved to a file, or read by another program."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError, told_as
from pyctr_engine.model.progress import Progress
from pyctr_tui.actions.actions import Actions
from pyctr_tui.actions.archives import no_directory, replaces, whole
from pyctr_tui.cli.text import timestamp
from pyctr_tui.dialogs.form import Answers, Field
from pyctr_tui.figures import count, exact_size
from pyctr_tui.logs.log import Log
from pyctr_tui.logs.matching import Matcher, TooSlow, Unwanted
from pyctr_tui.logs.merge import Entry, Logs, Passed
from pyctr_tui.safe_text import safe, safe_log
from pyctr_tui.saved_file import saved_file

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_tui.jobs import Job
    from pyctr_tui.logs.news import Source
    from pyctr_tui.logs.query import Query

PIECE = 64 << 10
"""Bytes that are written at once."""
LONGEST = 1 << 20
"""Characters of a line after which it is broken."""


class LogActions(Actions):
    """On the logs in the pane, all of them: also what was rotated away from the files in sight."""

    def action_search(self) -> None:
        """Type what to look for in the log."""
        self._home.prompt.search()

    def action_only(self) -> None:
        """Type which lines are to be shown."""
        self._home.prompt.only()

    def action_follow(self) -> None:
        """Follow the end of the log, or stay."""
        self._home.logs.toggle_follow()

    def action_wrap(self) -> None:
        """Wrap the log's long lines, or cut them."""
        self._home.logs.wrap = not self._home.logs.wrap
        self._home.logs.repaint()

    def action_timestamps(self) -> None:
        """Show or hide the times of the log's lines."""
        self._home.logs.timestamps = not self._home.logs.timestamps
        self._home.logs.repaint()

    def action_as_printed(self) -> None:
        """Show JSON lines as they were printed, or as people read them."""
        self._home.logs.as_printed = not self._home.logs.as_printed
        self._home.logs.repaint()

    def action_whole_stack(self) -> None:
        """The logs of the selected container's whole stack as one, or its own alone."""
        home = self._home
        if home.selection.container is not None and not home.selection.container.stack:
            home.notify_line(f"{home.selection.container.name} belongs to no stack", "warn")
            return
        if not home.selection.subject.is_one:
            home.notify_line(f"these are the logs of {home.selection.subject.name} already")
            return
        home.logs.whole_stack = not home.logs.whole_stack
        home.selection.shown()

    def action_mark_line(self) -> None:
        """Draw a line after the line in sight, or take it away."""
        marked = self._home.logs.toggle_mark()
        if marked is not None:
            self._home.notify_line("marked here: [ and ] go to marks and events" if marked else "no longer marked")

    def action_rule(self, by: str) -> None:
        """To the mark or event before, or after, what is in sight."""
        if not self._home.logs.to_rule(int(by)):
            self._home.notify_line(f"no mark and no event {'before' if int(by) < 0 else 'after'} this", "warn")

    def action_save_log(self) -> None:
        """Write it to a file."""
        shown = self._home.logs
        if not shown.sources:
            return
        engine, whose, fields = self._home.application.engine, self._whose(), _fields(shown.name_shown)
        if shown.only:
            fields.append(Field("only", f"only & {shown.only_text}", switch=True, value="yes"))

        def line(answers: Answers) -> str:
            times = " -t" if answers["times"] else ""
            return f"logs{times} {whose}{self._grep(answers)} > {shlex.quote(answers['path'])}"

        def then(answers: Answers) -> None:
            path, times = whole(answers["path"]), bool(answers["times"])
            name, sources = shown.name_shown, shown.sources
            only = shown.only if answers.get("only") else None

            def work(job: Job) -> str:
                text, written = LogText(engine, sources, times, only), 0
                with told_as(f"write {path}"), saved_file(path) as file:
                    for data in text:
                        file.write(data)
                        written += len(data)
                        job.report(Progress(name, "reading", text.read, text.size))
                return f"{count(text.lines, 'line')} ({exact_size(written)}) of {name} in {safe(path)}"

            self._jobs.run(f"saving the log of {name}", work, cli=line(answers), cancellable=True, again=True)

        self._form(
            f"Save the log of {shown.name_shown}",
            fields,
            "saves",
            then,
            line,
            lambda answers: no_directory(answers["path"]),
            remark=lambda answers: replaces(answers["path"]),
        )

    def action_pipe_log(self) -> None:
        """Give it to a program of the host, over the whole screen: a pager unless another is typed."""
        shown = self._home.logs
        if not shown.sources:
            return
        pager, whose = os.environ.get("PAGER") or "less", self._whose()
        fields = [Field("command", "command", pager, "grep -c ERROR, jq ., $PAGER", needed=True)]
        if shown.only:
            fields.append(Field("only", f"only & {shown.only_text}", switch=True, value="yes"))

        def line(answers: Answers) -> str:
            return f"logs {whose}{self._grep(answers)} | {answers['command']}"

        def then(answers: Answers) -> None:
            from pyctr_tui.terminal import host

            application, command = self._home.application, answers["command"]
            only = shown.only if answers.get("only") else None
            text = LogText(application.engine, shown.sources, False, only, safe_log)
            said, tone = host.run(
                application, ("/bin/sh", "-c", command), safe(command), pause=command != pager, feed=text
            )
            self._jobs.note(line(answers), said)
            self._home.notify_line(said, tone)

        self._form(f"Give the log of {shown.name_shown} to", fields, "runs", then, line)

    def _whose(self) -> str:
        """The logs in the pane as arguments of the command line."""
        sources, store = self._home.logs.sources, self._home.store
        containers = [store.by_id[id] for id, _ in sources if id in store.by_id]
        stacks = {one.stack for one in containers}
        if len(containers) > 1 and len(stacks) == 1 and "" not in stacks:
            (stack,) = stacks
            if len(containers) == sum(one.stack == stack for one in store.containers):
                return f"--stack {shlex.quote(stack)}"
        return " ".join(shlex.quote(one.name) for one in containers)

    def _grep(self, answers: Answers) -> str:
        """What picks the wanted lines on a command line, as far as a regular expression does."""
        only = self._home.logs.only
        if not answers.get("only") or not only.pattern:
            return ""
        return f" | grep -{'v' * only.leave_out}iE {shlex.quote(only.pattern)}"


def _fields(name: str) -> list[Field]:
    file = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
    return [
        Field("path", "file", f"./{file}.log", needed=True),
        Field("times", "times", switch=True, hint="when each line was printed, before it"),
    ]


class LogText:
    """The text of logs, in pieces of some kilobytes; several containers' lines each with its name before it.

    Attributes:
        lines: How many lines there were so far.
        read: How many bytes of the logs were read so far, of ``size``.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Sequence[Source],
        times: bool,
        only: Query | None = None,
        made: Callable[[str], str] = lambda text: text,
    ) -> None:
        """``made``: what becomes of the text of a line. Of a container that is gone there is nothing."""
        self._logs = Logs([Log(_path(engine, id)) for id, _ in sources])
        width = max(len(name) for _, name in sources)
        self._names = [f"{name:<{width}} | " if len(sources) > 1 else "" for _, name in sources]
        self._times, self._made = times, made
        self._only = Matcher(only, lambda: not self._stopped) if only else None
        self._held: dict[tuple[int, str], str] = {}
        self._stopped = False
        self.lines = self.read = 0
        self.size = self._logs.between(self._logs.start, self._logs.end)

    def stop(self) -> None:
        """Nobody reads it any more; may be called from another thread."""
        self._stopped = True

    def __iter__(self) -> Iterator[bytes]:
        """Each piece, empty ones too while nothing is found. Raises EngineError when a pattern takes too long."""
        try:
            yield from self._pieces()
        except TooSlow as error:
            raise EngineError(str(error)) from None
        except Unwanted:
            return
        finally:
            self._logs.close()
            if self._only is not None:
                self._only.close()

    def _pieces(self) -> Iterator[bytes]:
        out: list[bytes] = []
        size = 0
        start, end = self._logs.start, self._logs.end
        edge = list(start)
        for step in self._logs.forwards(start, self._only):
            edge[step.source] = step.at
            if self._stopped:
                return
            if isinstance(step, Entry) and step.at < end[step.source]:  # what comes after it was printed since
                out.append(self._line(step))
                size += len(out[-1])
            if size >= PIECE or isinstance(step, Passed):
                self.read = min(self._logs.between(start, tuple(edge)), self.size)
                yield b"".join(out)
                out, size = [], 0
            if all(at >= last for at, last in zip(edge, end, strict=True)):
                break
        out += [self._whole(source, text) for (source, _), text in self._held.items()]
        yield b"".join(out)

    def _line(self, entry: Entry) -> bytes:
        """A line as text. Of a long one, which is several records, nothing until its end has come.

        Where only some lines are wanted each record is a line: its neighbours need not be among them.
        """
        try:
            record = json.loads(entry.raw)
            when, stream, text = float(record["t"]), str(record["s"]), str(record["m"])
            goes_on = bool(record.get("p"))
        except (ValueError, KeyError, TypeError):
            when, stream, text, goes_on = 0.0, "", entry.raw.decode("utf-8", "replace"), False
        place = (entry.source, stream)
        head = f"{timestamp(when)} " if self._times and place not in self._held else ""
        text = self._held.pop(place, "") + head + self._made(text)
        if goes_on and self._only is None and len(text) < LONGEST:
            self._held[place] = text
            return b""
        return self._whole(entry.source, text)

    def _whole(self, source: int, text: str) -> bytes:
        self.lines += 1
        return f"{self._names[source]}{text}\n".encode("utf-8", "surrogateescape")


def _path(engine: Engine, id: str) -> str:
    try:
        return engine.log_file(id)
    except EngineError:
        return ""
