"""What keys do with files of the host: save, load and import images, export a container, copy in and out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyctr_engine.model.reference import Reference
from pyctr_tui.actions.actions import Actions, optional, refusal
from pyctr_tui.actions.images import about_name
from pyctr_tui.dialogs.form import Answers, Field
from pyctr_tui.figures import count
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_engine.model.image import ArchiveFormat
    from pyctr_tui.jobs import Job

FORMATS: dict[str, ArchiveFormat] = {"both": "", "oci": "oci", "docker": "docker"}


class ArchiveActions(Actions):
    """Paths are those of the host where this program runs; ``~`` is the home directory."""

    def action_save(self) -> None:
        """Write the marked images, or the selected one, to an archive."""
        images = self._images()
        if not images:
            return
        engine = self._home.application.engine
        names = [image.names[0] if image.names else image.id for image in images]
        what = images[0].label if len(images) == 1 else count(len(images), "image")

        def line(answers: Answers) -> str:
            kind = optional("--format", FORMATS[answers["format"]])
            return shlex.join(("save", "-o", answers["path"], *kind, *names))

        def then(answers: Answers) -> None:
            path, kind = whole(answers["path"]), FORMATS[answers["format"]]
            self._jobs.run(
                f"saving {what}",
                lambda job: engine.save(names, path, job.report, kind),
                f"{what} saved as {answers['path']}",
                line(answers),
                cancellable=True,
                again=True,
            )

        name = safe("".join(letter if letter.isalnum() or letter in "-." else "-" for letter in images[0].label))
        self._form(
            f"Save {what}",
            [
                Field("path", "file", f"~/{name if len(images) == 1 else 'images'}.tar", needed=True),
                Field("format", "for", "both", choices=tuple(FORMATS)),
            ],
            "saves",
            then,
            line,
            lambda answers: no_directory(answers["path"]),
            remark=lambda answers: replaces(answers["path"]),
        )

    def action_load(self) -> None:
        """Load images from an archive."""
        engine, home = self._home.application.engine, self._home

        def line(answers: Answers) -> str:
            return shlex.join(("load", "-i", answers["path"]))

        def then(answers: Answers) -> None:
            path = whole(answers["path"])

            def work(job: Job) -> str:
                loaded = engine.load(path, job.report)
                names = [name for image in loaded for name in image.names or (image.id[7:19],)]
                return f"loaded {', '.join(names)}"

            self._jobs.run(
                f"loading {answers['path']}", work, cli=line(answers), cancellable=True, images=True, again=True
            )

        home.action_pane("images")
        self._form(
            "Load images",
            [Field("path", "file", hint="an OCI or docker archive, or an OCI layout's directory", needed=True)],
            "loads",
            then,
            line,
            lambda answers: _absent(answers["path"]),
        )

    def action_import(self) -> None:
        """Make an image of a root file system's tar."""
        engine, home = self._home.application.engine, self._home

        def line(answers: Answers) -> str:
            options = (*optional("-m", answers["message"]), *optional("-c", answers["change"]))
            return shlex.join(("import", *options, answers["path"], answers["name"]))

        def then(answers: Answers) -> None:
            path, name, change = whole(answers["path"]), answers["name"], answers["change"]

            def work(job: Job) -> Any:
                changes = (change,) if change else ()
                return engine.import_image(path, name, changes, answers["message"], job.report)

            self._jobs.run(
                f"importing {answers['path']}",
                work,
                f"{name} imported",
                line(answers),
                lambda image: home.show_image(image.id),
                cancellable=True,
                images=True,
            )

        def check(answers: Answers) -> str:
            return _absent(answers["path"]) or refusal(lambda: Reference.parse(answers["name"]))

        self._form(
            "Import a root file system",
            [
                Field("path", "file", hint="a tar, plain or compressed by gzip or zstd", needed=True),
                Field("name", "name:tag", hint="debian:mine", needed=True),
                Field("message", "message", hint="where it is from"),
                Field("change", "config", hint='CMD ["/bin/sh"]'),
            ],
            "imports",
            then,
            line,
            check,
            remark=lambda answers: about_name(home.store, answers["name"]),
        )

    def action_export(self) -> None:
        """Write the selected container's whole file system as a tar."""
        container = self._one()
        if container is None:
            return
        engine = self._home.application.engine

        def line(answers: Answers) -> str:
            return shlex.join(("export", "-o", answers["path"], container.name))

        def then(answers: Answers) -> None:
            path = whole(answers["path"])
            self._jobs.run(
                f"exporting {container.name}",
                lambda job: engine.export(container.id, path, job.report),
                f"{container.name} exported to {answers['path']}",
                line(answers),
                cancellable=True,
                again=True,
            )

        self._form(
            f"Export {container.name}",
            [Field("path", "file", f"~/{container.name}.tar", needed=True)],
            "exports",
            then,
            line,
            lambda answers: no_directory(answers["path"]),
            ["Its whole file system as a tar, without what is mounted in it."],
            lambda answers: replaces(answers["path"]),
        )

    def action_copy_in(self) -> None:
        """Copy files of the host into the selected container."""
        self._copy("into", "host", "inside", lambda name, a: (a["host"], f"{name}:{a['inside']}"))

    def action_copy_out(self) -> None:
        """Copy files out of the selected container."""
        self._copy("out of", "inside", "host", lambda name, a: (f"{name}:{a['inside']}", a["host"]))

    def _copy(self, way: str, source: str, target: str, words: Callable[[str, Answers], tuple[str, str]]) -> None:
        container = self._one()
        if container is None:
            return
        engine = self._home.application.engine
        change = self._home.diff.selected if self._home.focus_name == "diff" else None

        def line(answers: Answers) -> str:
            return shlex.join(("cp", *(("-L",) if answers["follow"] else ()), *words(container.name, answers)))

        def work(answers: Answers) -> Callable[[Job], None]:
            host, inside, follow = whole(answers["host"]), answers["inside"], bool(answers["follow"])
            if way == "into":
                return lambda job: engine.copy_in(container.id, host, inside, follow, progress=job.report)
            return lambda job: engine.copy_out(container.id, inside, host, follow, progress=job.report)

        def then(answers: Answers) -> None:
            title = f"copying {answers[source]} {way} {container.name}"
            done = f"{answers[source]} copied {way} {container.name}"
            self._jobs.run(title, work(answers), done, line(answers), cancellable=True, again=True)

        inside = change.path if change is not None and way == "out of" else ""
        fields = {
            "host": Field("host", "on the host", "" if way == "into" else "./", "a file or directory", needed=True),
            "inside": Field("inside", "inside", inside, "/a/path in the container", needed=True),
        }
        self._form(
            f"Copy {way} {container.name}",
            [
                fields[source],
                fields[target],
                Field("follow", "symlinks", switch=True, hint="copy what the source leads to"),
            ],
            "copies",
            then,
            line,
            lambda answers: _absent(answers["host"]) if way == "into" else "",
            ["Into a directory that is there, else under the new name; DIR/. is what is in it."],
        )


def whole(path: str) -> str:
    """A path as the engine takes it; a slash at its end, which means a directory, stays."""
    return os.path.expanduser(path)


def _absent(path: str) -> str:
    return "" if os.path.lexists(whole(path)) else f"there is no {path} here"


def no_directory(path: str) -> str:
    """Why nothing can be written at a path; empty when it can."""
    directory = os.path.dirname(whole(path).rstrip("/")) or "."
    return "" if os.path.isdir(directory) else f"there is no directory {directory}"


def replaces(path: str) -> str:
    """What writing at a path would replace, in a sentence."""
    return f"{path} is there and is replaced" if path and os.path.isfile(whole(path)) else ""
