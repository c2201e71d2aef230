"""What keys do with registries: pull, push, log in and out."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from pyctr_engine.model.reference import Reference
from pyctr_tui.actions.actions import Actions, optional, refusal
from pyctr_tui.dialogs.form import Answers, Field
from pyctr_tui.dialogs.menu import Item, MenuDialog
from pyctr_tui.figures import exact_size
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_tui.jobs import Job


class RegistryActions(Actions):
    """Each a job that shows how far it is, and can be cancelled."""

    def action_pull(self) -> None:
        """Fetch an image by name."""
        home = self._home
        image = home.images.selected if home.focus_name == "images" else None
        self._ask_what_to_pull(image.names[0] if image is not None and image.names else "")

    def action_registry_tags(self) -> None:
        """List what tags the registry has of the selected image, to pull one of them."""
        image = self._one_image()
        if image is None:
            return
        if not image.names or refusal(lambda: Reference.parse(image.names[0])):
            self._home.notify_line("it has no name, and so no registry · T gives it one", "warn")
            return
        home, name = self._home, Reference.parse(image.names[0]).familiar.rpartition(":")[0]

        def listed(tags: Any) -> None:
            here = {one for each in home.store.images for one in each.names}
            items = [
                Item(
                    safe(tag), "is here" if f"{name}:{tag}" in here else "", "", partial(self._ask_what_to_pull, one)
                )
                for tag in tags
                for one in (f"{name}:{tag}",)
            ]

            def chosen(call: Any) -> None:
                if call is not None:
                    call()

            if items:
                home.app.push_screen(MenuDialog(f"Tags of {name} · {len(items)}", items), chosen)
            else:
                home.notify_line(f"the registry has no tags of {name}", "warn")

        engine = home.application.engine
        self._jobs.run(
            f"asking for the tags of {name}", lambda job: engine.registry_tags(name), f"tags of {name}", "", listed
        )

    def _ask_what_to_pull(self, name: str) -> None:
        engine, home = self._home.application.engine, self._home

        def then(answers: Answers) -> None:
            name, platform = answers["name"], answers["platform"]

            def work(job: Job) -> Any:
                return engine.pull(name, platform, progress=job.report, cancel=job.cancel)

            def pulled(value: Any) -> None:
                for warning in value.warnings:
                    home.notify_line(warning, "warn", 12.0)
                if home.page is None and home.focus_name == "images":
                    home.show_image(value.image.id)

            done = f"{name} pulled"
            cli = self._pull_line(answers)
            self._jobs.run(f"pulling {name}", work, done, cli, pulled, cancellable=True, images=True, again=True)

        self._form(
            "Pull an image",
            [
                Field(
                    "name", "name", name, "nginx, ghcr.io/me/app:1, registry.example:5000/app@sha256:…", needed=True
                ),
                Field("platform", "platform", hint="this machine's; or linux/arm64 …"),
            ],
            "pulls",
            then,
            self._pull_line,
            lambda answers: refusal(lambda: Reference.parse(answers["name"])),
        )

    @staticmethod
    def _pull_line(answers: Answers) -> str:
        return shlex.join(("pull", *optional("--platform", answers["platform"]), answers["name"]))

    def action_push(self) -> None:
        """Send the selected image to the registry that its name names."""
        image = self._one_image()
        if image is None:
            return
        if not image.names:
            self._home.notify_line("it has no name, and so no registry · T gives it one", "warn")
            return
        engine = self._home.application.engine

        def line(answers: Answers) -> str:
            kind = answers["compression"]
            return shlex.join(
                ("push", *optional("--compression-format", "" if kind == "gzip" else kind), answers["name"])
            )

        def then(answers: Answers) -> None:
            name, kind = answers["name"], answers["compression"]

            def work(job: Job) -> str:
                sent = engine.push(name, kind, progress=job.report, cancel=job.cancel)
                return f"{name} pushed · manifest {sent.digest[7:19]}, {exact_size(sent.size)}"

            self._jobs.run(f"pushing {name}", work, cli=line(answers), cancellable=True, again=True)

        registry = (
            Reference.parse(image.names[0]).domain if not refusal(lambda: Reference.parse(image.names[0])) else ""
        )
        self._form(
            f"Push {image.label}",
            [
                Field("name", "as", image.names[0], choices=image.names),
                Field("compression", "compression", "gzip", choices=("gzip", "zstd", "none")),
            ],
            "pushes",
            then,
            line,
            notes=[f"To {registry}. Layers that it has are not sent again."] if len(image.names) == 1 else (),
        )

    def action_login(self) -> None:
        """Try a user's name and password for a registry, and keep them."""
        engine = self._home.application.engine

        def line(answers: Answers) -> str:
            return shlex.join(("login", *optional("-u", answers["user"]), *filter(None, (answers["server"],))))

        def then(answers: Answers) -> None:
            server, user, password = answers["server"], answers["user"], answers["password"]

            def work(job: Job) -> str:
                return (
                    f"logged in to {server or 'docker.io'} as {user}; kept in {engine.login(server, user, password)}"
                )

            self._jobs.run(f"logging in to {server or 'docker.io'}", work, cli=line(answers))

        self._form(
            "Log in to a registry",
            [
                Field("server", "registry", hint="docker.io; or registry.example:5000"),
                Field("user", "user", needed=True),
                Field("password", "password", needed=True, secret=True, hint="or a token"),
            ],
            "logs in",
            then,
            line,
        )

    def action_logout(self) -> None:
        """Forget what is kept for a registry."""
        engine = self._home.application.engine

        def line(answers: Answers) -> str:
            return shlex.join(("logout", *filter(None, (answers["server"],))))

        def then(answers: Answers) -> None:
            server = answers["server"] or "docker.io"

            def work(job: Job) -> str:
                there = engine.logout(answers["server"])
                return f"logged out of {server}" if there else f"there was nothing kept for {server}"

            self._jobs.run(f"logging out of {server}", work, cli=line(answers))

        self._form("Log out of a registry", [Field("server", "registry", hint="docker.io")], "logs out", then, line)
