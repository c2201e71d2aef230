"""All commands: where each one's code is, so that only its module is imported."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is: a function ``(call, words) -> exit code`` of a module of this room.

    ``warm``: it starts containers or programs in them, so the spawner may begin before its module is imported.
    """

    module: str
    function: str
    summary: str
    warm: bool = False


_CONTAINERS = {
    "run": Command("run", "run", "Make a container and start it", warm=True),
    "create": Command("run", "create", "Make a container without starting it"),
    "start": Command("lifecycle", "start", "Start containers that are there", warm=True),
    "stop": Command("lifecycle", "stop", "Stop containers: their stop signal, then SIGKILL"),
    "restart": Command("lifecycle", "restart", "Stop containers and start them again", warm=True),
    "kill": Command("lifecycle", "kill", "Send containers a signal"),
    "pause": Command("lifecycle", "pause", "Freeze all processes of containers"),
    "unpause": Command("lifecycle", "unpause", "Let paused containers go on"),
    "wait": Command("lifecycle", "wait", "Wait until containers end, and print their exit codes"),
    "rm": Command("lifecycle", "remove", "Remove containers"),
    "exec": Command("exec", "exec_", "Run a further program in a running container", warm=True),
    "attach": Command("exec", "attach", "Attach to a running container"),
    "replay": Command("replay", "replay", "Play a recording of a terminal"),
    "rename": Command("change", "rename", "Give a container another name"),
    "update": Command("change", "update", "Change limits and restart policy of containers, also while they run"),
    "cp": Command("copy", "copy", "Copy files between a container and here"),
    "ps": Command("ps", "ps", "List containers"),
    "logs": Command("logs", "logs", "Show what containers wrote"),
    "stats": Command("stats", "stats", "Show what containers use, live"),
    "top": Command("inspect", "top", "Show a container's processes"),
    "port": Command("inspect", "port", "Show a container's published ports"),
    "diff": Command("inspect", "diff", "Show what a container changed against its image"),
    "checkpoint create": Command("checkpoints", "create", "Keep a container's file system as it is now"),
    "checkpoint ls": Command("checkpoints", "list_", "List a container's checkpoints"),
    "checkpoint restore": Command("checkpoints", "restore", "Take a container's file system back", warm=True),
    "checkpoint branch": Command("checkpoints", "branch", "Make a new container from a checkpoint"),
    "checkpoint rm": Command("checkpoints", "remove", "Remove checkpoints"),
    "export": Command("archives", "export", "Write a container's file system as a tar"),
    "inspect": Command("inspect", "inspect", "Show everything about containers, images or volumes"),
}
_IMAGES = {
    "images": Command("images", "images", "List images"),
    "layers": Command("explore", "layers", "Show an image's layers, what is in them, and what each one does"),
    "layers cat": Command("explore", "cat", "Print a file of any layer's state"),
    "layers extract": Command("explore", "extract", "Take files out of any layer's state"),
    "compare": Command("explore", "compare", "Show how images, containers and checkpoints differ"),
    "history": Command("images", "history", "Show how an image was made"),
    "pull": Command("registries", "pull", "Fetch images from a registry"),
    "push": Command("registries", "push", "Send images to a registry"),
    "login": Command("registries", "login", "Log in to a registry"),
    "logout": Command("registries", "logout", "Forget a registry's credentials"),
    "commit": Command("archives", "commit", "Make an image of a container's file system"),
    "import": Command("archives", "import_", "Make an image of a root file system's tar"),
    "load": Command("archives", "load", "Load images from an archive or an OCI layout"),
    "save": Command("archives", "save", "Write images to an archive or an OCI layout"),
    "tag": Command("images", "tag", "Give an image one more name"),
    "rmi": Command("images", "remove", "Remove images"),
}
_STACKS = {
    "up": Command("stacks", "up", "Make a stack's containers be as its file says", warm=True),
    "down": Command("stacks", "down", "Stop and remove a stack's containers"),
    "stack ls": Command("stacks", "list_", "List stacks"),
    "stack config": Command("stacks", "config", "Show a stack file, interpolated and normalised"),
}
_SYSTEM = {
    "volume ls": Command("volumes", "list_", "List volumes"),
    "volume create": Command("volumes", "create", "Make volumes"),
    "volume inspect": Command("volumes", "inspect", "Show everything about volumes"),
    "volume rm": Command("volumes", "remove", "Remove volumes"),
    "network ls": Command("networks", "list_", "List networks"),
    "network inspect": Command("networks", "inspect", "Show who is on networks"),
    "events": Command("system", "events", "Show what happens, as it happens"),
    "resume": Command("service", "resume", "After a boot: start what its restart policy says", warm=True),
    "service install": Command("service", "install", "Have systemd call `resume` at each boot"),
    "service uninstall": Command("service", "uninstall", "Take that back"),
    "doctor": Command("system", "doctor", "Examine this host: what works, and what each lack costs"),
    "prune": Command("prune", "system", "Remove what is not used (as system prune)"),
    "system prune": Command("prune", "system", "Remove what is not used"),
    "container prune": Command("prune", "containers", "Remove containers that don't run"),
    "image prune": Command("prune", "images", "Remove images that are not used"),
    "volume prune": Command("prune", "volumes", "Remove volumes that are not used"),
    "system df": Command("diskusage", "df", "Show what takes room on the disk"),
    "system check": Command("system", "check", "Examine the store, the database and what the kernel holds; mend it"),
    "settings path": Command("settings", "path", "Print where the settings file of the interface is"),
    "settings schema": Command("settings", "schema", "Print its JSON Schema"),
    "settings check": Command("settings", "check", "Check it"),
    "version": Command("system", "version", "Show the version"),
}

GROUPS = {"Containers": _CONTAINERS, "Images": _IMAGES, "Stacks": _STACKS, "Volumes and the system": _SYSTEM}
"""What the help shows."""

COMMANDS = {**_CONTAINERS, **_IMAGES, **_STACKS, **_SYSTEM}

ALIASES = {
    **{f"container {name}": name for name in _CONTAINERS if " " not in name},
    **{f"image {name}": name for name in "history import inspect layers load pull push save tag".split()},
    "container ls": "ps",
    "container commit": "commit",
    "image ls": "images",
    "image rm": "rmi",
    "stack ps": "ps",
    "config": "stack config",
    "checkpoint undo": "checkpoint restore",
}
"""Docker's other names for the same."""
