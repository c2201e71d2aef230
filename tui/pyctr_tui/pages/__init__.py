"""Pages: views that take the place of the home screen's panes. Made, and their modules imported, at first sight."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    from pyctr_tui.pages.page import Page
    from pyctr_tui.screens.home import HomeScreen


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a page is made, and what it is called.

    Attributes:
        made_by: ``module:Class`` in this package.
        help: A phrase for the palette.
        nouns: Words of the palette that lead to it, the first its own.
        panes: Ids of its panes.
    """

    made_by: str
    help: str
    nouns: tuple[str, ...]
    panes: tuple[str, ...]


PAGES: dict[str, Entry] = {
    "explorer": Entry(
        "explorer:ExplorerPage",
        "files, layer by layer",
        ("explorer", "files", "dive"),
        ("strata", "tree", "waste", "viewer"),
    ),
    "stacks": Entry(
        "stacks:StacksPage", "stacks, and what `up` would do to them", ("stacks", "stack"), ("stacks", "plan")
    ),
    "volumes": Entry(
        "volumes:VolumesPage", "volumes, and the files in them", ("volumes", "vol"), ("volumes", "files", "fileview")
    ),
    "networks": Entry(
        "networks:NetworksPage",
        "who is on which network, and what is published",
        ("networks", "net"),
        ("networks", "members"),
    ),
    "eventlog": Entry(
        "eventlog:EventLogPage", "what happened, live and as far back as it is kept", ("events", "ev"), ("eventlog",)
    ),
    "disk": Entry(
        "disk:DiskPage", "what takes room on the disk, and what can go", ("disk", "df", "prune"), ("disk", "unused")
    ),
    "trace": Entry(
        "trace:TracePage", "the selected container's start, step by step", ("trace", "start trace"), ("trace",)
    ),
    "doctor": Entry(
        "doctor:DoctorPage", "what this host can do, and what it lacks", ("doctor", "check"), ("doctor",)
    ),
    "settings": Entry(
        "settings:SettingsPage", "theme, keys, columns, own commands", ("settings", "config"), ("settings",)
    ),
    "jobs": Entry(
        "jobs:JobsPage", "what was done, as command lines, and what is being done", ("jobs", "log"), ("jobs",)
    ),
    "checkpoints": Entry(
        "checkpoints:CheckpointsPage",
        "states of a container's files to go back to",
        ("checkpoints", "undo"),
        ("checkpoints",),
    ),
}


def make(name: str, home: HomeScreen) -> Page:
    """A page of that name."""
    module, _, kind = PAGES[name].made_by.partition(":")
    page: Page = getattr(import_module(f"{__name__}.{module}"), kind)(home)
    return page
