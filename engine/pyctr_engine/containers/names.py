"""Names for containers that were given none: an adjective and an animal."""

from __future__ import annotations

import random
import re
from collections.abc import Container

from pyctr_engine.errors import InvalidValue

_ADJECTIVES = (
    "amber bold brave bright brisk calm clever cosy crisp curious daring eager fair fleet fond gentle "
    "glad golden happy hardy honest humble jolly keen kind lively lucky mellow merry mighty neat nimble "
    "noble patient plucky proud quick quiet rapid ready royal serene sharp shiny silent sleepy smart snug "
    "steady stout sunny swift tidy vivid warm wise witty zesty"
).split()
_ANIMALS = (
    "badger bear beaver bison crane crow deer dingo dove eagle egret elk falcon ferret finch fox gecko "
    "goose grebe hare hawk hedgehog heron ibex ibis jackal jay kestrel kite koala lark lemur linnet lynx "
    "magpie marten mole moose newt otter owl panda pika plover puffin quail rabbit raven robin seal shrew "
    "sloth sparrow starling stoat stork swan tapir tern thrush toad vole walrus weasel wolf wren yak "
    "zebra"
).split()
_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")


def choose(taken: Container[str]) -> str:
    """A name that is not taken."""
    for _ in range(100):
        name = f"{random.choice(_ADJECTIVES)}-{random.choice(_ANIMALS)}"  # noqa: S311 - a name, no secret
        if name not in taken:
            return name
    return f"{name}-{random.randrange(1_000_000)}"  # noqa: S311


def check(name: str) -> str:
    """The name, if it can be one. Raises InvalidValue."""
    if not _VALID.fullmatch(name):
        raise InvalidValue(
            f"{name!r} is no name for a container",
            "letters, digits, `_`, `.` and `-`, beginning with a letter or digit, 128 at most",
        )
    return name
