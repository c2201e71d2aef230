"""What keys do to make containers and to get into them: run, create, rename, a program of choice, attach."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_tui.actions.actions import Actions, optional, refusal
from pyctr_tui.cli.options import Grammar, HelpRequested, Option, UsageError
from pyctr_tui.cli.request import OPTIONS, request
from pyctr_tui.dialogs.form import Answers, Field

if TYPE_CHECKING:
    from pyctr_engine.model.spec import ContainerRequest
    from pyctr_engine.model.status import Container
    from pyctr_tui.jobs import Job

_RUN = Grammar(
    "run",
    "IMAGE [COMMAND [ARGUMENT…]]",
    "Make a container and start it.",
    Option("-d, --detach", "Leave it running"),
    *OPTIONS,
    least=1,
    most=None,
    interspersed=False,
)
"""The command line's own grammar."""

_LISTS = {"ports": "-p", "volumes": "-v", "env": "-e"}


class MakingActions(Actions):
    """Forms read what is typed as the command line does."""

    def action_run(self) -> None:
        """A new container from the selected image, started."""
        self._make(start=True)

    def action_create(self) -> None:
        """The same, not started."""
        self._make(start=False)

    def _make(self, start: bool) -> None:
        home = self._home
        image, container = home.images.selected, home.containers.container
        if home.focus_name != "images" and not home.selection.shows_image and container is not None:
            name = container.image
        else:
            name = (image.names[0] if image.names else image.id[7:19]) if image is not None else "pyctr/base"

        def line(answers: Answers) -> str:
            words = _split(answers)
            return shlex.join(("run", "-d", *words) if start else ("create", *words)) if words else ""

        def check(answers: Answers) -> str:
            return refusal(lambda: _request(answers))

        self._form(
            "Run a new container" if start else "Create a container",
            [
                Field("image", "image", name, "nginx:1.27", needed=True),
                Field("name", "name", hint="a random one"),
                Field("command", "command", hint="the image's own"),
                Field("ports", "ports", hint="8080:80  127.0.0.1:5353:53/udp"),
                Field("volumes", "volumes", hint="data:/var/lib/data  /srv/www:/www:ro"),
                Field("env", "environment", hint='KEY=VALUE  NAME="with blanks"'),
                Field("memory", "memory", hint="512m; empty for no limit"),
                Field("cpus", "CPUs", hint="1.5; empty for no limit"),
                Field("restart", "restart", "no", choices=("no", "on-failure", "unless-stopped", "always")),
                Field("more", "more options", hint="--read-only --cap-drop ALL --network none …"),
                Field("terminal", "terminal", switch=True, hint="gives it one, and keeps its input open: for shells"),
                Field("rm", "remove", switch=True, hint="it is removed when it ends"),
            ],
            "runs" if start else "creates",
            lambda answers: self._made(answers, start, line(answers)),
            line,
            check,
        )

    def _made(self, answers: Answers, start: bool, line: str) -> None:
        home, engine = self._home, self._home.application.engine
        wanted = _request(answers)

        def work(job: Job) -> Container:
            made = engine.create(wanted, job.report)
            if start:
                try:
                    engine.start(made.id)
                except BaseException:
                    with contextlib.suppress(EngineError):  # what could not be started is not left behind
                        engine.remove(made.id, force=True, volumes=True)
                    raise
            return made

        self._jobs.run(
            f"{'running' if start else 'creating'} {wanted.name or wanted.image}",
            work,
            f"{wanted.name or 'a container'} of {wanted.image} {'runs' if start else 'is there · s starts it'}",
            line,
            lambda made: home.show_container(made.id),
            cancellable=True,
            images=True,
        )

    def action_rename(self) -> None:
        """Give the selected container another name."""
        container = self._one()
        if container is None:
            return
        engine = self._home.application.engine

        def then(answers: Answers) -> None:
            name = answers["name"]
            self._jobs.run(
                f"renaming {container.name}",
                lambda job: engine.rename(container.id, name),
                f"{container.name} is {name} now",
                f"rename {container.name} {name}",
            )

        taken = {one.name for one in self._home.store.containers} - {container.name}
        self._form(
            f"Rename {container.name}",
            [Field("name", "new name", container.name, needed=True)],
            "renames",
            then,
            lambda answers: f"rename {container.name} {answers['name']}",
            remark=lambda answers: "another container has that name" if answers["name"] in taken else "",
        )

    def action_exec_with(self) -> None:
        """A program of choice in the selected container, over the whole screen."""
        container = self._one()
        if container is None:
            return
        if not container.state.can_exec:
            self._home.notify_line(f"{container.name} is not running · s starts it", "warn")
            return

        def line(answers: Answers) -> str:
            options = (*optional("-u", answers["user"]), *optional("-w", answers["directory"]))
            more = tuple(word for pair in _words(answers["env"]) for word in ("-e", pair))
            command = _words(answers["command"]) or ["sh"]
            return shlex.join(("exec", "-it", *options, *more, container.name, *command))

        def check(answers: Answers) -> str:
            return refusal(lambda: (_shell_words(answers["command"]), _shell_words(answers["env"])))

        def then(answers: Answers) -> None:
            from pyctr_tui.terminal.handover import run

            argv, env = tuple(_words(answers["command"])), tuple(_words(answers["env"]))
            said, tone = run(self._home.application, container, argv, answers["user"], answers["directory"], env)
            self._jobs.note(line(answers), said)
            self._home.notify_line(said, tone)

        self._form(
            f"Run in {container.name}",
            [
                Field("command", "command", hint="a shell; or: top, psql -U me, python3 -q"),
                Field("user", "user", hint="the container's; or: root, 1000:1000"),
                Field("directory", "directory", hint="the container's"),
                Field("env", "environment", hint="KEY=VALUE …"),
            ],
            "runs",
            then,
            line,
            check,
            ["It has the whole screen; Ctrl+] d comes back, and the program goes on."],
        )

    def action_attach(self) -> None:
        """The selected container's own first program, over the whole screen."""
        container = self._one()
        if container is None:
            return
        if not container.is_up:
            self._home.notify_line(f"{container.name} is not running · s starts it", "warn")
            return
        from pyctr_tui.terminal.handover import attach

        said, tone = attach(self._home.application, container)
        self._jobs.note(f"attach {container.name}", said)
        self._home.notify_line(said, tone)


def _words(text: str) -> list[str]:
    """Words as a shell splits them; as they are while a quote is open."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _shell_words(text: str) -> list[str]:
    """The same. Raises UsageError while a quote is open."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text!r} can't be read: {str(error).lower()}", "close the quote") from error


def _split(answers: Answers) -> list[str]:
    """The words of a command line after its command."""
    if not answers["image"]:
        return []
    words = list(optional("--name", answers["name"]))
    for field, option in _LISTS.items():
        for value in _words(answers[field]):
            words += [option, value]
    words += [*optional("-m", answers["memory"]), *optional("--cpus", answers["cpus"])]
    words += optional("--restart", "" if answers["restart"] == "no" else answers["restart"])
    words += ["-it"] if answers["terminal"] else []
    words += ["--rm"] if answers["rm"] else []
    return [*words, *_words(answers["more"]), answers["image"], *_words(answers["command"])]


def _request(answers: Answers) -> ContainerRequest:
    """What the form asks for. Raises UsageError."""
    for field in (*_LISTS, "more", "command"):
        _shell_words(answers[field])
    try:
        return request(_RUN.parse(_split(answers)))
    except HelpRequested:
        raise UsageError("--help is no option here", "`pyctr-tui run --help` lists them") from None
