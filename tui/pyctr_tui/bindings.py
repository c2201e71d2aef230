"""Every key and what it does: the one table that keys, footer, help, palette and settings are made from."""

from __future__ import annotations

from pyctr_tui.home_layout import LISTS, PANES
from pyctr_tui.keymap import EVERYWHERE, Command

HOME = frozenset(PANES)
PAGES = frozenset({
    "stacks", "plan", "volumes", "files", "networks", "members", "eventlog", "disk", "unused", "trace", "doctor",
    "settings", "jobs", "checkpoints", "strata", "waste", "tree", "viewer", "fileview",
})  # fmt: skip
"""Panes of pages, by id."""
ALL = HOME | PAGES
SUBJECT = HOME - {"images"}
"""Panes in which keys act on the selected container."""


def _only(*names: str) -> frozenset[str]:
    return frozenset(names)


CONTAINERS: tuple[Command, ...] = (
    Command("show_logs", ("l",), "logs", "follow its logs", SUBJECT - {"logs"}, 10, "logs -f {}"),
    Command("exec", ("e",), "exec", "a terminal in it: its session, or a new shell", SUBJECT, 11, "exec -it {} sh"),
    Command("exec_full", ("E",), "full screen", "a shell in it over the whole screen", SUBJECT, 0, "exec -it {} sh"),
    Command("exec_command", ("ctrl+e",), "command", "run a command in it, in a terminal", SUBJECT, 0, "exec -it {}"),
    Command("exec_with", (), "exec …", "run a program of choice in it, full screen", SUBJECT, 0, "exec -it {} CMD"),
    Command(
        "attach", ("a",), "attach", "its own first program, full screen (Ctrl+] d leaves)", SUBJECT, 0, "attach {}"
    ),
    Command(
        "start_stop", ("s",), "start/stop", "stop it when it runs, start it when it doesn't", SUBJECT, 12, "stop {}"
    ),
    Command("restart", ("r",), "restart", "stop it and start it", SUBJECT, 13, "restart {}"),
    Command("commit", ("C",), "commit", "keep its changed files as an image", SUBJECT, 14, "commit {} NAME"),
    Command("remove", ("d", "delete"), "remove", "remove it, after asking", SUBJECT, 15, "rm {}"),
    Command(
        "remove_image", ("d", "delete"), "remove", "remove the image, after asking", _only("images"), 15, "rmi {}"
    ),
    Command("pause", ("p",), "pause", "freeze it, or let it go on", SUBJECT, 0, "pause {}"),
    Command("limits", ("M",), "limits", "change its limits and its restart policy", SUBJECT, 0, "update {}"),
    Command("kill", ("K",), "kill", "kill it, or send it another signal, after asking", SUBJECT, 0, "kill {}"),
    Command("rename", ("m",), "rename", "give it another name", SUBJECT, 0, "rename {} NAME"),
    Command("copy_in", ("I",), "copy in", "copy files from this host into it", SUBJECT, 0, "cp FILE {}:PATH"),
    Command(
        "copy_out",
        ("O",),
        "copy out",
        "copy files out of it to this host",
        SUBJECT - {"graphs"},
        0,
        "cp {}:PATH FILE",
    ),
    Command("export", (), "export", "write its whole file system as a tar", SUBJECT, 0, "export -o FILE {}"),
    Command("run", ("ctrl+n",), "run", "run a new container", SUBJECT, 0, "run -d IMAGE"),
    Command("create", (), "create", "make a new container, and don't start it", HOME, 0, "create IMAGE"),
    Command("up", ("u",), "up", "make its stack be as its file says", SUBJECT, 0, "up"),
    Command("down", ("D",), "down", "stop and remove its stack, after asking", SUBJECT, 0, "down"),
    Command("edit_stack", ("Y",), "edit stack", "edit its stack's file, checked as it is typed", HOME),
    Command("inspect", ("i",), "inspect", "everything about it", HOME, 0, "inspect {}"),
    Command("show_diff", ("x",), "changes", "what it changed against its image", SUBJECT, 0, "diff {}"),
    Command("show_layers", ("L",), "layers", "the layers of its image", HOME, 0, "layers {}"),
)
"""What is done to a container."""

IMAGES: tuple[Command, ...] = (
    Command("pull", ("p",), "pull", "fetch an image from its registry", _only("images"), 10, "pull NAME"),
    Command("registry_tags", (), "tags", "what tags its registry has, to pull one of them", _only("images")),
    Command("push", ("X",), "push", "send the image to the registry of its name", _only("images"), 11, "push {}"),
    Command("run", ("r", "ctrl+n"), "run", "run a new container from it", _only("images"), 12, "run -d {}"),
    Command("tag", ("T",), "tag", "give it one more name", _only("images"), 13, "tag {} NAME"),
    Command("save", ("s",), "save", "write the images to an archive", _only("images"), 14, "save -o FILE {}"),
    Command("load", ("l",), "load", "load images from an archive", _only("images"), 0, "load -i FILE"),
    Command("untag", (), "untag", "take one of several names from it", _only("images"), 0, "rmi NAME"),
    Command(
        "import", (), "import", "make an image of a root file system's tar", _only("images"), 0, "import FILE NAME"
    ),
    Command("history", (), "history", "how the image was made, layer by layer", _only("images"), 0, "history {}"),
    Command("login", (), "login", "keep a user name and password for a registry", _only("images"), 0, "login"),
    Command("logout", (), "logout", "forget them", _only("images"), 0, "logout"),
)
"""What is done to an image."""

SORTED = _only("containers", "images", "ps", "diff", "stacks", "volumes", "files", "networks")
MARKED = _only("containers", "images")
FOUND = _only("logs", "containers", "images", "layers", "diff", "info", "ps")
"""Panes in which n and N go through what was found."""
IN_LISTS: tuple[Command, ...] = (
    Command("mark", ("space",), "mark", "mark it, to act on several at once", MARKED, 16),
    Command("mark_all", ("asterisk",), "mark all", "mark all that are shown, or none", MARKED),
    Command("mark_others", ("exclamation_mark",), "mark others", "mark what isn't, unmark what is", MARKED),
    Command("mark_none", ("backslash",), "unmark", "mark nothing", MARKED),
    Command("filter", ("slash",), "filter", "filter: words, state: stack: image: cpu> mem>", ALL - {"logs"}, 17),
    Command("sort", ("o",), "sort", "sort by the next column", SORTED - {"files"}),
    Command("sort_reverse", ("ctrl+o",), "reverse", "sort the other way round", SORTED),
    Command("columns", ("vertical_line",), "columns", "choose the columns of the list", _only("containers")),
    Command("running", ("A",), "all/running", "show all containers, or the running ones only", _only("containers")),
    Command("collapse", ("left", "h"), "collapse", "collapse the stack", _only("containers")),
    Command("expand", ("right",), "expand", "expand the stack", _only("containers")),
    Command("next_match", ("n",), "next", "next match", FOUND),
    Command("previous_match", ("N",), "previous", "previous match", FOUND),
    Command("copy", ("y",), "copy", "copy its name (or the line) to the terminal's clipboard (OSC 52)"),
)
"""In lists."""

IN_LOGS: tuple[Command, ...] = (
    Command("search", ("slash",), "search", "search the log; n older, N newer", _only("logs"), 20),
    Command("only", ("ampersand",), "only", "show only lines that match, of a level, of a stream", _only("logs"), 21),
    Command("follow", ("f",), "follow", "follow the end of the log", _only("logs"), 21),
    Command("wrap", ("w",), "wrap", "wrap long lines, or cut them", _only("logs"), 22),
    Command("whole_stack", ("A",), "all", "the logs of its whole stack as one, or its own alone", _only("logs"), 23),
    Command("mark_line", ("b",), "mark", "draw a line here; [ and ] go to marks and events", _only("logs"), 23),
    Command("rule -1", ("left_square_bracket",), "older", "to the mark or event before", _only("logs")),
    Command("rule 1", ("right_square_bracket",), "newer", "to the next mark or event", _only("logs")),
    Command("timestamps", ("T",), "times", "show or hide the time of each line", _only("logs"), 23),
    Command(
        "as_printed", ("full_stop",), "as printed", "JSON lines as they were printed, or readable", _only("logs")
    ),
    Command("save_log", ("ctrl+s",), "save", "write the log to a file", _only("logs"), 0, "logs {} > FILE"),
    Command(
        "pipe_log",
        ("vertical_line",),
        "pipe",
        "the log to a pager, or any program",
        _only("logs"),
        24,
        "logs {} | CMD",
    ),
    Command("shift -8", ("left", "h"), "left", "show columns further left", _only("logs", "info")),
    Command("shift 8", ("right",), "right", "show columns further right", _only("logs", "info")),
)
"""In logs."""

IN_GRAPHS: tuple[Command, ...] = (
    Command("cursor -1", ("left",), "cursor", "a cursor through all graphs: the figures of then", _only("graphs")),
    Command("cursor 1", ("right",), "cursor right", "move the cursor on", _only("graphs")),
    Command("scroll_time -1", ("left_square_bracket",), "past", "back in time by half a pane", _only("graphs"), 20),
    Command("scroll_time 1", ("right_square_bracket",), "later", "scroll on; G is back to now", _only("graphs"), 21),
    Command("event -1", ("n",), "event", "the cursor to the next older event", _only("graphs"), 22),
    Command("event 1", ("N",), "newer event", "the cursor to the next newer event", _only("graphs")),
    Command("overlay", ("O",), "overlay", "each container a line of its own, or their sum", _only("graphs"), 23),
    Command("host", ("0",), "host", "graphs of the machine; again: of what is selected"),
    Command("basis", ("percent_sign",), "100%", "what 100% of cpu is: one CPU, the limit, the host"),
)
"""In graphs."""

MOVING: tuple[Command, ...] = (
    Command("open", ("enter",), "open", "open it"),
    Command("back", ("escape",), "back", "back: leave zoom, filter, marks, then the pane"),
    Command("move 1", ("j", "down"), "down", "down one line"),
    Command("move -1", ("k", "up"), "up", "up one line"),
    Command("first", ("g", "home"), "first", "to the first line"),
    Command("last", ("G", "end"), "last", "to the last line"),
    Command("page 1", ("pagedown", "ctrl+f"), "page down", "down one page"),
    Command("page -1", ("pageup", "ctrl+b"), "page up", "up one page"),
    Command("page 0.5", ("ctrl+d",), "half down", "down half a page"),
    Command("page -0.5", ("ctrl+u",), "half up", "up half a page"),
    Command("next_pane", ("tab",), "next pane", "to the next pane"),
    Command("previous_pane", ("shift+tab",), "previous pane", "to the pane before"),
    Command("pane containers", ("1",), "containers", "to the containers"),
    Command("pane images", ("2",), "images", "to the images"),
    Command("pane layers", ("3",), "layers", "to the layers"),
    Command("pane graphs", ("4",), "graphs", "graphs of what it uses"),
    Command("pane logs", ("5",), "logs", "what it printed"),
    Command("pane diff", ("6",), "diff", "files it changed"),
    Command("pane info", ("7",), "info", "everything about it"),
    Command("pane ps", ("8",), "ps", "its processes"),
    Command("terminal", ("9",), "term", "the terminals in the selected container"),
)
"""Getting around."""

SCREEN: tuple[Command, ...] = (
    Command("grow 1", ("plus", "equals_sign"), "wider", "more of the past; a wider left side", HOME),
    Command("grow -1", ("minus",), "narrower", "less of the past; a narrower left side", HOME),
    Command("zoom", ("z",), "zoom", "give the pane the whole screen, or take it back", HOME),
    Command("theme", ("t",), "theme", "the next theme"),
    Command("refresh", ("R",), "refresh", "read everything again"),
    Command(
        "palette", ("colon",), "palette", "all actions by name; containers, images and stacks too", EVERYWHERE, 90
    ),
    Command("help", ("question_mark",), "help", "the keys of where you are", EVERYWHERE, 91),
    Command("suspend", ("ctrl+z",), "suspend", "back to the shell; fg returns"),
    Command("replay", ("ctrl+r",), "replay", "play a terminal's recording (asciicast)", EVERYWHERE, 0, "replay FILE"),
    Command("quit", ("q", "ctrl+q"), "quit", "leave; containers go on"),
)
"""The screen."""

OF_PAGES: tuple[Command, ...] = (
    Command("view explorer", ("f",), "explore", "files of an image or container, layer by layer", HOME - {"logs"}),
    Command("view stacks", ("S",), "stacks", "stacks, and what `up` would do to them"),
    Command("view volumes", ("V",), "volumes", "volumes, and the files in them"),
    Command("view networks", ("W",), "networks", "who is on which network, and what is published to whom"),
    Command("view eventlog", ("v",), "events", "what happened, live and as far back as it is kept"),
    Command("view disk", ("P",), "disk", "what takes room on the disk, and what can go", ALL - {"disk", "unused"}),
    Command("view trace", ("F",), "start trace", "its last start, step by step"),
    Command("view doctor", ("H",), "doctor", "what this host can do, and what it lacks"),
    Command("view jobs", ("J",), "jobs", "what was done, its command lines, and what is being done"),
    Command(
        "view checkpoints",
        ("U",),
        "checkpoints",
        "states of its files to go back to",
        EVERYWHERE,
        0,
        "checkpoint ls {}",
    ),
    Command("cancel_newest", ("ctrl+x",), "cancel", "cancel the newest thing that is being done"),
)
"""To the pages."""

STACKS = _only("stacks", "plan")
FILES = _only("volumes", "files")
OBJECTS: tuple[Command, ...] = (
    Command("up", ("u",), "up", "make its containers be as its file says", STACKS, 10, "up"),
    Command("down", ("D",), "down", "stop and remove it, after asking", STACKS, 11, "down"),
    Command("start_stop", ("s",), "start/stop", "stop what runs of it, or start it", STACKS, 12),
    Command("restart", ("r",), "restart", "stop and start all of it", STACKS, 13),
    Command("edit_stack", ("e", "Y"), "edit", "edit its file, checked as it is typed", STACKS, 14),
    Command("new_stack", ("N",), "new", "bring one up from its file", STACKS, 15),
    Command("pull_stack", ("p",), "pull", "pull its images", STACKS),
    Command("show_logs", ("l",), "logs", "its logs", STACKS),
    Command("remove", ("d", "delete"), "remove", "remove the volume, after asking", FILES, 10),
    Command("new_volume", ("N",), "new", "make a volume", FILES, 11),
    Command("extract", ("X",), "copy out", "copy the file to the host", _only("files", "fileview"), 12),
    Command("sort", ("o",), "sort", "by the next column", _only("files"), 13),
    Command("collapse", ("left", "h", "backspace"), "up", "to the directory above", _only("files", "fileview")),
    Command("expand", ("right",), "open", "into the directory", _only("files", "fileview")),
)
"""In the pages of stacks, volumes and networks."""

IN_SYSTEM: tuple[Command, ...] = (
    Command("moment", ("m",), "moment", "graphs of it at the moment when it happened", _only("eventlog"), 12),
    Command("raw_event", ("i",), "raw", "everything that was recorded about it", _only("eventlog"), 10),
    Command("export_events", ("w",), "write", "write what is shown to a file", _only("eventlog"), 11),
    Command("tick", ("space",), "tick", "tick what may go, or untick it", _only("unused"), 10),
    Command("prune", ("P",), "prune", "remove what is ticked, after asking", _only("disk", "unused"), 11),
    Command("check_store", ("s",), "check store", "look through the store and the database", _only("doctor"), 10),
    Command("repair_store", ("m",), "mend", "mend what can be, after asking", _only("doctor"), 11),
)
"""In the pages of events, disk and doctor."""

IN_JOBS: tuple[Command, ...] = (
    Command("cancel_job", ("d", "delete"), "cancel it", "cancel it while it runs", _only("jobs"), 10),
    Command("job_again", ("r",), "again", "do the same once more", _only("jobs"), 11),
)
"""In the log of jobs."""

EXPLORER = _only("tree", "strata", "waste")
IN_EXPLORER: tuple[Command, ...] = (
    Command(
        "whole", ("m",), "whole/layer", "the whole state after a layer, or what the layer did alone", EXPLORER, 10
    ),
    Command("changed_only", ("x",), "changed", "only what was changed, or all", EXPLORER, 11),
    Command("text_difference", ("D",), "diff", "what the layer did to the file, line by line", _only("tree"), 12),
    Command("versions", ("b",), "versions", "every version of the path, layer by layer", _only("tree", "waste"), 13),
    Command("extract", ("X",), "extract", "take it out, to the host", _only("tree"), 14),
    Command("shell", ("e",), "shell", "a shell in this layer's state, in a container of its own", EXPLORER, 15),
    Command("compare", ("C",), "compare", "with any image, layer, container or checkpoint", EXPLORER, 16),
    Command("find_path", ("f",), "find", "only paths with a text in them", EXPLORER, 17),
    Command("sort", ("o",), "sort", "by name, size, growth", EXPLORER),
    Command("collapse", ("left", "h"), "collapse", "close the directory", _only("tree", "viewer")),
    Command("expand", ("right",), "expand", "open the directory", _only("tree", "viewer")),
)
"""In the layer explorer."""

TREE = _only("checkpoints")
IN_CHECKPOINTS: tuple[Command, ...] = (
    Command("take", ("n",), "take one", "keep its files as they are now", TREE, 10, "checkpoint create {}"),
    Command(
        "restore", ("r",), "go back", "take its files back to it, after asking", TREE, 11, "checkpoint restore {}"
    ),
    Command("branch", ("b",), "branch", "a new container from it", TREE, 12, "checkpoint branch {}"),
    Command("forget", ("d", "delete"), "forget", "remove the checkpoint, after asking", TREE, 13, "checkpoint rm {}"),
)
"""Among a container's checkpoints."""

IN_SETTINGS: tuple[Command, ...] = (
    Command("view settings", ("comma",), "settings", "theme, keys, columns, own commands: what they are, and whence"),
    Command("change_setting", ("space",), "change", "the next value, at once", _only("settings"), 10),
    Command("reset_setting", ("d", "delete"), "forget", "forget what was chosen here", _only("settings"), 11),
    Command(
        "edit_settings", ("e",), "edit file", "open the file in $EDITOR, and read it again", _only("settings"), 12
    ),
    Command("custom", ("c",), "own commands", "commands of your own for it", HOME | {"stacks", "volumes"}),
    Command("menu", (), "menu", "all that can be done to what is selected"),
    Command("bulk", (), "bulk", "for many containers at once: start, stop, remove, prune", HOME),
    Command("show_all", (), "show all", "all containers again: no filter, stopped ones too", _only(*LISTS)),
    Command("tab -1", (), "previous tab", "the tab before", HOME),
    Command("tab 1", (), "next tab", "the next tab", HOME),
    Command("copy_mode", ("ctrl+y",), "copy mode", "the pane as plain text, the mouse left to the terminal"),
)
"""Settings, and what presets of keys know."""

COMMANDS = (
    *CONTAINERS, *IMAGES, *IN_LISTS, *IN_LOGS, *IN_GRAPHS, *MOVING, *SCREEN, *OF_PAGES, *IN_JOBS, *IN_CHECKPOINTS,
    *OBJECTS, *IN_SYSTEM, *IN_EXPLORER, *IN_SETTINGS,
)  # fmt: skip
"""All of them."""
