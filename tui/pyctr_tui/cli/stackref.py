"""How commands name a stack: by its file, or by its name."""

from __future__ import annotations

import os

from pyctr_engine.errors import NotFound
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Option

STACK = Option("--stack", "Only containers of this stack", "NAME")
NAME = Option("-p, --project-name, --name", "The stack's name, instead of the file's", "NAME")
FILE = Option("-f, --file", "The stack's file", "FILE")

DEFAULT_FILES = ("stack.yaml", "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


def is_file(word: str) -> bool:
    """Whether an argument means a stack's file: no container's name ends so."""
    return word.endswith((".yaml", ".yml"))


def find_file(given: str) -> str:
    """The file that was given, or the one in this directory. Raises NotFound."""
    if given:
        return given
    for name in DEFAULT_FILES:
        if os.path.exists(name):
            return name
    raise NotFound("there is no stack file here", f"name one, or call it {DEFAULT_FILES[0]}")


def stack_name(call: Call, word: str, name: str = "") -> str:
    """The name of the stack that ``word``, a file or a name, means."""
    return call.engine.load_stack(word, name).name if is_file(word) else name or word
