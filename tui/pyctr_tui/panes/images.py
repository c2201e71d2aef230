"""Panes 2 and 3: images, and the layers of what is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import age, size
from pyctr_tui.grouping import natural
from pyctr_tui.panes.listing import ListPane, Orders
from pyctr_tui.query import IMAGE_FIELDS, IMAGE_FIGURES, Subject, of_image
from pyctr_tui.widgets.draw import Line, cells, gap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_tui.store import Store
    from pyctr_tui.view import ImageView, LayerView


class ImagesPane(ListPane["ImageView"]):
    """The list of images."""

    scope = "images"
    orders: ClassVar[Orders] = {
        "age": None,
        "name": lambda image: (not image.names, natural(image.label)),
        "size": lambda image: -image.size,
        "layers": lambda image: -image.layers,
        "used by": lambda image: -len(image.used_by),
    }

    def __init__(self, store: Store) -> None:
        super().__init__(id="images")
        self.store = store

    def key(self, item: ImageView) -> str:
        """The image's id."""
        return item.id

    def update_rows(self) -> None:
        """Show what the store holds now."""
        self.show(self.store.images)

    def seen_by_filter(self, item: ImageView) -> Subject:
        """Its names, size, age and who uses it."""
        return of_image(item, self.store.clock())

    def known(self) -> dict[str, list[str]]:
        """An image's fields, and the values there are."""
        subjects = [of_image(image, 0.0) for image in self.store.images]
        return {name: sorted({v for subject in subjects for v in subject.values[name]}) for name in IMAGE_FIELDS}

    @property
    def figures(self) -> tuple[str, ...]:
        """An image's figures."""
        return IMAGE_FIGURES

    def title(self) -> Line:
        """How many there are."""
        style = self.palette.strong if self.has_focus else self.palette.dim
        marked = len(self.store.image_marks)
        line = [Segment(f"2 Images {glyphs.DOT} {len(self.store.images)}", style)]
        return [*line, Segment(f" {glyphs.MARK}{marked}", self.palette.warn)] if marked else line

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        name, used, layers, made = self._widths(width)
        line = [gap(3), cells("NAME", name, dim)]
        if layers:
            line.append(cells("LAYERS", layers, dim, right=True))
        if used:
            line.append(cells("USED BY", used, dim, right=True))
        if made:
            line.append(cells("AGE", made, dim, right=True))
        return [*line, cells("SIZE", 5, dim, right=True), gap(1)]

    @staticmethod
    def _widths(width: int) -> tuple[int, int, int, int]:
        """Name, used by, layers, age."""
        used = 9 if width >= 48 else 0
        layers = 8 if width >= 40 else 0
        made = 5 if width >= 34 else 0
        return max(4, width - 9 - used - layers - made), used, layers, made

    def draw(self, item: ImageView, width: int) -> Line:
        """A name with its size; dim and hollow when no container uses it."""
        palette = self.palette
        name, used, layers, made = self._widths(width)
        is_used = bool(item.used_by)
        marked = item.id in self.store.image_marks
        line = [
            Segment(glyphs.MARK, palette.warn) if marked else gap(1),
            Segment(glyphs.NAMED if is_used else glyphs.UNUSED, palette.accent if is_used else palette.dim),
            gap(1),
            cells(item.label, name, palette.text if item.names else palette.dim),
        ]
        if layers:
            line.append(cells(str(item.layers), layers, palette.dim, right=True))
        if used:
            line.append(cells(str(len(item.used_by)) if is_used else glyphs.DASH, used, palette.dim, right=True))
        if made:
            old = age(self.store.clock() - item.created) if item.created else glyphs.DASH
            line.append(cells(old, made, palette.dim, right=True))
        return [*line, cells(size(item.size), 5, palette.dim, right=True), gap(1)]

    def empty(self, width: int) -> list[Line]:
        """Loading, or how to get one."""
        if not self.store.images_loaded:
            return [[gap(3), Segment("reading …", self.palette.faint)]]
        return [[gap(3), Segment("p", self.palette.accent), Segment(" pulls an image", self.palette.dim)]]


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """What a container changed on top of its image's layers. ``size`` is ``None`` while it is being counted."""

    size: int | None
    paths: int


class LayersPane(ListPane["LayerView | Uncommitted"]):
    """The layers of the selected image or container, the topmost first."""

    scope = "layers"

    def __init__(self) -> None:
        super().__init__(id="layers")
        self.subject = ""
        self.image_ref = ""
        self.error = ""
        self._layers: Sequence[LayerView] = ()
        self._changes: Uncommitted | None = None

    def key(self, item: LayerView | Uncommitted) -> str:
        """Its number from below."""
        return "changes" if isinstance(item, Uncommitted) else str(item.number)

    def show_subject(self, name: str, image_ref: str) -> None:
        """Layers of another thing will come; until then keep what is shown if it is of the same image."""
        if image_ref != self.image_ref:
            self._layers = ()
            self.error = ""
        self.subject, self.image_ref = name, image_ref
        self._update()

    def show_layers(self, layers: Sequence[LayerView], error: str = "") -> None:
        """Show the layers of the subject."""
        self._layers, self.error = layers, error
        self._update()

    def show_changes(self, changes: Uncommitted | None) -> None:
        """Show what the container changed, above its layers; ``None`` for an image."""
        if changes != self._changes:
            self._changes = changes
            self._update()

    def _update(self) -> None:
        top = [self._changes] if self._changes is not None else []
        self.show([*top, *self._layers])

    def title(self) -> Line:
        """Whose layers these are."""
        style = self.palette.strong if self.has_focus else self.palette.dim
        return [Segment(f"3 Layers of {self.subject}" if self.subject else "3 Layers", style)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [gap(3), cells("SIZE", 6, dim, right=True), gap(2), cells("MADE BY", width - 11, dim)]

    def draw(self, item: LayerView | Uncommitted, width: int) -> Line:
        """A step: its size and the command that made it; steps without files are dim."""
        palette = self.palette
        room = max(width - 12, 4)
        if isinstance(item, Uncommitted):
            changed = "counting" if item.size is None else f"+{size(item.size)}"
            text = f"not committed {glyphs.DOT} C to keep"
            if item.paths == 0 and item.size is not None:
                return [gap(1), Segment("○ ", palette.dim), cells("+0", 6, palette.dim, right=True), gap(2),
                        cells("nothing changed", room, palette.dim), gap(1)]  # fmt: skip
            return [gap(1), Segment("● ", palette.warn), cells(changed, 6, palette.warn, right=True), gap(2),
                    cells(text, room, palette.warn), gap(1)]  # fmt: skip
        figure = size(item.size) if item.number == 1 else f"+{size(item.size)}"
        return [
            cells(str(item.number), 2, palette.dim, right=True),
            gap(1),
            cells(figure, 6, palette.dim if item.empty else palette.edge["memory"], right=True),
            gap(2),
            cells(item.made_by or glyphs.DASH, room, palette.dim if item.empty else palette.text),
            gap(1),
        ]

    def empty(self, width: int) -> list[Line]:
        """An error, or nothing."""
        if self.error:
            return [[gap(3), Segment(self.error, self.palette.bad)]]
        return []
