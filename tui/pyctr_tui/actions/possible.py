"""Why an action can't be done now: what the palette greys, and says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_tui.actions.actions import NO_CONTAINER
from pyctr_tui.bindings import CONTAINERS, HOME, IMAGES
from pyctr_tui.home_layout import PANES
from pyctr_tui.pages import PAGES

if TYPE_CHECKING:
    from pyctr_tui.keymap import Command
    from pyctr_tui.screens.home import HomeScreen

IN_IT = frozenset({"exec", "exec_full", "exec_command", "exec_with", "attach"})
"""What is done inside a container."""
TO_RUNNING = frozenset({"pause", "kill"})
WITHOUT = frozenset({"run", "create", "edit_stack", "pull", "load", "import", "login", "logout"})
"""What needs nothing selected."""
OF_LAYOUT = frozenset({"zoom", "grow 1", "grow -1"})
"""What changes where home's panes stand."""
OF_IMAGES = frozenset(command.action for command in IMAGES) | {"remove_image"}
OF_CONTAINERS = frozenset(command.action for command in CONTAINERS) - OF_IMAGES
OF_BOTH = frozenset({"inspect", "show_layers", "show_logs", "show_diff"})
"""What an image has too, and what goes to the container's own panes."""


def why_not(home: HomeScreen, command: Command) -> str:
    """Why a command would do nothing as things are; empty when it can be done."""
    if home.focus_name not in command.scopes and not (command.scopes & {*HOME, "*"} and _is_done(home, command)):
        return _where(home, command)
    if home.page is not None and command.action in OF_LAYOUT:
        return _where(home, command)
    if command.action in WITHOUT or not command.scopes & {*HOME, "*"}:  # a page knows what is selected on it
        return ""
    if command.action == "cancel_newest" and not any(home.application.jobs.running):
        return "nothing is being done"
    if command.action in OF_IMAGES:
        marked = home.store.image_marks or home.images.selected is not None
        return "" if marked else "there is no image"
    if command.action in OF_CONTAINERS - OF_BOTH and home.selection.shows_image:
        return NO_CONTAINER
    if command.action in OF_CONTAINERS:
        return _of_containers(home, command.action)
    return ""


def _is_done(home: HomeScreen, command: Command) -> bool:
    """Whether somebody does it from here, though it is another pane's."""
    try:
        home.handler(command.action.partition(" ")[0])
    except LookupError:
        return False
    return True


def _where(home: HomeScreen, command: Command) -> str:
    """The pane or the page a command belongs to, and how to get there."""
    places = [(name, f"pane {name}") for name in PANES if name in command.scopes]
    places += [(page.nouns[0], f"view {name}") for name, page in PAGES.items() if command.scopes & set(page.panes)]
    name, action = places[0]
    key = home.application.keymap.key_of(action)
    return f"in {name}" + (f" \N{MIDDLE DOT} {key} goes there" if key else "")


def _of_containers(home: HomeScreen, action: str) -> str:
    store, pane = home.store, home.containers
    marked = [one for one in store.containers if one.id in store.marks]
    stack = pane.stack.key.removeprefix("stack:") if pane.stack is not None else None
    targets = marked or [one for one in store.containers if one is pane.container or one.stack == stack]
    if not targets:
        return "there is no container"
    if action in IN_IT:
        one = pane.container
        if one is None:
            return "select one container first"
        return "" if one.state.can_exec else f"{one.name} is {'paused' if one.is_up else 'not running'}"
    if action in TO_RUNNING and not any(one.is_up for one in targets):
        return f"{targets[0].name} is not running" if len(targets) == 1 else "none of them is running"
    if action in ("up", "down") and not any(one.stack for one in targets):
        return f"{targets[0].name} is of no stack" if len(targets) == 1 else "none of them is of a stack"
    return ""
