"""What goes for good when containers or images are removed: said at once as far as it is known, then exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_tui.dialogs.confirm import Choice
from pyctr_tui.figures import count, exact_size, size
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import width_of

if TYPE_CHECKING:
    from pyctr_engine.model.tidy import Removal, RemovedVolume
    from pyctr_tui.details import Answer
    from pyctr_tui.dialogs.confirm import ConfirmDialog
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.view import ContainerView, ImageView

VOLUMES = Choice("v", "unnamed volumes", ("stay", "go"))
NAMED = 4
"""Volumes that are named in a sentence."""


class Loss:
    """What containers take with them. The engine is asked when the dialog is open; until then it says less."""

    def __init__(self, home: HomeScreen, targets: Sequence[ContainerView], down: bool = False) -> None:
        self._home = home
        self._targets = list(targets)
        self._down = down
        self._told: Removal | None = None
        self._error = ""

    def ask(self, dialog: ConfirmDialog) -> None:
        """Have it measured, and show it when the answer comes."""
        engine, ids = self._home.application.engine, [target.id for target in self._targets]

        def answered(answer: Answer) -> None:
            self._told, self._error = answer.value, answer.error
            dialog.changed()

        self._home.application.details.call("removal", lambda: engine.removal(ids), answered)

    def lines(self, chosen: Mapping[str, str]) -> list[str]:
        """The names, a blank, and what goes."""
        return [*self._names(), "", *self._running(), *self._bytes(), *self._volumes(chosen), "Images stay."]

    def _names(self) -> list[str]:
        sizes = {usage.id: usage.size + usage.logs for usage in self._told.containers} if self._told else {}
        names = [f"{one.symbol()} {one.name}" for one in self._targets]
        wide = max(map(width_of, names), default=0)
        images = max((width_of(one.image) for one in self._targets), default=0)
        return [
            name
            + " " * (wide - width_of(name) + 2)
            + one.image
            + " " * (images - width_of(one.image) + 2)
            + (f"{size(sizes[one.id]):>5}" if one.id in sizes else "    …" if self._told is None else "")
            for name, one in zip(names, self._targets, strict=True)
        ]

    def _running(self) -> list[str]:
        running = [target for target in self._targets if target.is_up]
        if not running:
            return []
        if self._down:
            still = "still runs and is stopped first" if len(running) == 1 else "still run and are stopped first"
            return [f"{len(running)} of {count(len(self._targets), 'container')} {still}."]
        if len(running) == 1:
            return [f"{running[0].name} still runs and is killed first."]
        return [f"{len(running)} of them still run and are killed first."]

    def _bytes(self) -> list[str]:
        selection, told = self._home.selection, self._told
        log = ", its log"
        if told is not None:
            logs = sum(usage.logs for usage in told.containers)
            log = f", {'its log' if len(self._targets) == 1 else 'their logs'} ({exact_size(logs)})"
        if len(self._targets) == 1 and selection.changes is not None and selection.changes_of == self._targets[0].id:
            changed = sum(change.size for change in selection.changes)
            paths = count(len(selection.changes), "changed path")
            lines = [f"Gone for good: {exact_size(changed)} in {paths}{log}."]
        else:
            lines = [f"Gone for good: the files {'it' if len(self._targets) == 1 else 'they'} changed{log}."]
        if self._error:
            return [*lines, f"How much comes back can't be said: {self._error}"]
        back = "… come back" if told is None else f"{exact_size(told.bytes)} of the disk come back"
        return [*lines, f"{back}."]

    def _volumes(self, chosen: Mapping[str, str]) -> list[str]:
        if self._told is None:
            return ["Named volumes stay."] if not self._error else []
        go_all = chosen.get("all its volumes") == "go"
        go_unnamed = go_all or chosen.get("unnamed volumes") == "go"
        going = [one for one in self._told.volumes if not one.others and (go_all or (one.unnamed and go_unnamed))]
        staying = [one for one in self._told.volumes if one not in going]
        lines = [f"Volumes that go too: {_listed(going)}."] if going else []
        if staying:
            return [*lines, f"Volumes that stay: {_listed(staying)}."]
        return lines or ["It mounts no volume." if len(self._targets) == 1 else "They mount no volume."]


def _listed(volumes: Sequence[RemovedVolume]) -> str:
    texts = [
        f"{safe(one.name)[:12] + ' (unnamed)' if one.unnamed else safe(one.name)} {size(one.size)}"
        for one in volumes[:NAMED]
    ]
    if len(volumes) > NAMED:
        texts.append(f"{len(volumes) - NAMED} more")
    return ", ".join(texts)


class ImageLoss:
    """What images take with them."""

    def __init__(self, home: HomeScreen, targets: Sequence[ImageView]) -> None:
        self._home = home
        self._targets = list(targets)
        self._told: Removal | None = None
        self._error = ""

    def ask(self, dialog: ConfirmDialog) -> None:
        """Have it measured, and show it when the answer comes."""
        engine, ids = self._home.application.engine, [target.id for target in self._targets]

        def answered(answer: Answer) -> None:
            self._told, self._error = answer.value, answer.error
            dialog.changed()

        self._home.application.details.call("removal", lambda: engine.removal(images=ids), answered)

    def lines(self, chosen: Mapping[str, str]) -> list[str]:
        """The names, a blank, who uses them, and what comes back."""
        lines: list[str] = []
        for target in self._targets:
            names = target.names or (target.label,)
            lines += [f"{name}{'' if at else f'  {size(target.size)} in ' + count(target.layers, 'layer')}"
                      for at, name in enumerate(names)]  # fmt: skip
        return [*lines, "", *self._users(), self._bytes()]

    def _users(self) -> list[str]:
        store = self._home.store
        users = [id for target in self._targets for id in target.used_by]
        if not users:
            return []
        names = [store.by_id[id].name for id in users if id in store.by_id]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        return [
            f"{count(len(users), 'container')} made from {'it' if len(self._targets) == 1 else 'them'}: "
            f"{', '.join(names[:6])}{more}",
            "The engine refuses while they exist.",
        ]

    def _bytes(self) -> str:
        if self._error:
            return f"How much comes back can't be said: {self._error}"
        if self._told is None:
            return "… come back: what no other image or container needs"
        shared = sum(image.size for image in self._told.images) - self._told.bytes
        if not self._told.bytes:
            return "Nothing comes back: others need all of its layers."
        stays = f"; {exact_size(shared)} stay: others need them" if shared > 0 else ""
        return f"{exact_size(self._told.bytes)} of the disk come back{stays}."
