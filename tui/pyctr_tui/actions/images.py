"""What keys do to images: names, removing, running one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.model.reference import Reference
from pyctr_tui.actions.actions import Actions, refusal
from pyctr_tui.actions.loss import ImageLoss
from pyctr_tui.dialogs.form import Answers, Field
from pyctr_tui.figures import count

if TYPE_CHECKING:
    from pyctr_tui.store import Store
    from pyctr_tui.view import ImageView


class ImageActions(Actions):
    """On the marked images, or the selected one."""

    def action_remove_image(self) -> None:
        """Remove images with all their names, after saying what goes and how much comes back."""
        images = self._images()
        if not images:
            return
        home = self._home
        loss = ImageLoss(home, images)
        names = [name for image in images for name in (image.names or (image.id,))]
        what = images[0].label if len(images) == 1 else count(len(images), "image")
        shown = " ".join(name.removeprefix("sha256:")[:12] if name.startswith("sha256:") else name for name in names)

        def then() -> None:
            home.store.image_marks.clear()
            engine = home.application.engine
            targets = [(name, name.removeprefix("sha256:")) for name in names]
            self._every(targets, "removing", what, "removed", "rmi", engine.remove_image, images=True)

        title = f"Remove image {what}?" if len(images) == 1 else f"Remove {what}?"
        loss.ask(self._confirm(title, loss.lines, "remove", then, cli=f"rmi {shown}"))

    def action_untag(self) -> None:
        """Take one name from an image that has several; the image stays."""
        image = self._one_image()
        if image is None:
            return
        if len(image.names) < 2:
            self.action_remove_image()  # with its last name the image goes
            return
        engine = self._home.application.engine

        def then(answers: Answers) -> None:
            name = answers["name"]
            self._jobs.run(
                f"untagging {name}",
                lambda job: engine.remove_image(name) and None,
                f"{name} is no name any more; {image.id[7:19]} stays",
                f"rmi {name}",
                images=True,
            )

        fields = [Field("name", "name", image.names[0], choices=image.names)]
        notes = ["The image stays under its other names."]
        self._form("Untag", fields, "untags", then, lambda answers: f"rmi {answers['name']}", notes=notes)

    def action_tag(self) -> None:
        """Give the selected image one more name."""
        image = self._one_image()
        if image is None:
            return
        engine, store = self._home.application.engine, self._home.store
        ref = image.names[0] if image.names else image.id

        def then(answers: Answers) -> None:
            name = answers["name"]
            self._jobs.run(
                f"tagging {image.label}",
                lambda job: engine.tag(image.id, name),
                f"{image.label} is {name} too",
                f"tag {ref} {name}",
                images=True,
            )

        self._form(
            f"Tag {image.label}",
            [Field("name", "new name", hint="shop:fixed, registry.example:5000/shop:1", needed=True)],
            "tags",
            then,
            lambda answers: f"tag {ref} {answers['name']}",
            lambda answers: refusal(lambda: Reference.parse(answers["name"])),
            remark=lambda answers: about_name(store, answers["name"], image),
        )

    def action_history(self) -> None:
        """The layers of the selected image."""
        self._home.action_pane("layers")


def about_name(store: Store, name: str, image: ImageView | None = None) -> str:
    """What is to be known of a name while it is typed: that it can't be one, or that another image loses it."""
    if not name:
        return ""
    if wrong := refusal(lambda: Reference.parse(name)):
        return wrong
    there = named(store.images, name)
    if there is None or (image is not None and there.id == image.id):
        return ""
    return f"replaces the name of another image: {there.id[7:19]} stays without it"


def named(images: Sequence[ImageView], name: str) -> ImageView | None:
    """The image that has a name, if there is one."""
    if refusal(lambda: Reference.parse(name)):
        return None
    familiar = Reference.parse(name).familiar
    return next((image for image in images if familiar in image.names), None)
