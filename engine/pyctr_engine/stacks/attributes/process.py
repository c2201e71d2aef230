"""What runs: image, command, environment, user, and how it is stopped and started again."""

from __future__ import annotations

import os
import posixpath
import shlex
import signal
from dataclasses import replace

from pyctr_engine.errors import NotFound
from pyctr_engine.model.spec import RestartName, RestartPolicy
from pyctr_engine.stacks import dotenv, values
from pyctr_engine.stacks.document import Mapping, Node, Scalar, nearest
from pyctr_engine.stacks.draft import Draft

_RESTARTS: dict[str, RestartName] = {
    "no": "no",
    "always": "always",
    "on-failure": "on-failure",
    "unless-stopped": "unless-stopped",
}


def image(draft: Draft, node: Node) -> None:
    """``image:``, a reference."""
    draft.request = replace(draft.request, image=values.word(node, "image"))


def platform(draft: Draft, node: Node) -> None:
    """``platform:``, ``os/architecture[/variant]``."""
    draft.request = replace(draft.request, platform=values.word(node, "platform"))


def pull_policy(draft: Draft, node: Node) -> None:
    """``pull_policy:``; those that pull after some time pull what is missing."""
    word = values.word(node, "pull_policy")
    known = {"if_not_present": "missing", "missing": "missing", "always": "always", "never": "never"}
    if word in known:
        draft.request = replace(draft.request, pull=known[word])
    elif word in ("build", "daily", "weekly") or word.startswith("every_"):
        draft.context.warn_node(node, f"pull_policy {word} counts as missing here")
    else:
        values.choice(node, "pull_policy", [*known, "build", "daily", "weekly"])


def build(draft: Draft, node: Node) -> None:
    """``build:`` is not done; next to ``image:`` it may stand."""
    if draft.node.get("image") is None:
        raise node.error("build is not supported yet", "build the image elsewhere, load it, and name it with image:")
    draft.context.warn_node(node, "build is not supported yet; the image has to be there")


def _argv(node: Node, what: str) -> tuple[str, ...] | None:
    if node.is_null:
        return None
    if not isinstance(node, Scalar):
        return tuple(values.string(item, f"an item of {what}") for item in values.items(node, what))
    try:
        return tuple(shlex.split(values.string(node, what)))
    except ValueError as error:
        raise node.error(f"{what} can't be split into words: {str(error).lower()}") from error


def command(draft: Draft, node: Node) -> None:
    """``command:``, a list or a line split as a shell splits it; nothing takes the image's."""
    draft.request = replace(draft.request, command=_argv(node, "command"))


def entrypoint(draft: Draft, node: Node) -> None:
    """``entrypoint:``, the same; an empty one clears the image's."""
    draft.request = replace(draft.request, entrypoint=_argv(node, "entrypoint"))


def environment(draft: Draft, node: Node) -> None:
    """``environment:``, a mapping or a list; a name without value takes it from the environment, if it is there."""
    for name, value, place in values.pairs(node, "environment", "environment variable"):
        if "=" in name or "\0" in name:
            raise place.error(f'an environment variable can\'t be named "{name}"')
        draft.environment[name] = draft.context.variables.get(name) if value is None else value


def env_file(draft: Draft, node: Node) -> None:
    """``env_file:``, one or more paths, or mappings of path and required; later files win."""
    for item in values.one_or_more(node, "env_file"):
        path, required = item, True
        if isinstance(item, Mapping):
            values.known_keys(item, "env_file", ("path", "required"), ("format",))
            found, needed = item.get("path"), item.get("required")
            if found is None:
                raise item.error("an env_file needs a path")
            path = found
            required = needed is None or values.boolean(needed, "required", draft.context.warn_node)
        name = os.path.join(draft.context.directory, os.path.expanduser(values.word(path, "env_file")))
        try:
            draft.env_files.update(dotenv.read(name, draft.context.variables, draft.context.warn))
        except NotFound:
            if required:
                raise path.error(f"no such file: {name}", "`required: false` lets it be absent") from None


def working_dir(draft: Draft, node: Node) -> None:
    """``working_dir:``, an absolute path inside."""
    path = values.word(node, "working_dir")
    if not path.startswith("/"):
        raise node.error(f"working_dir must be an absolute path, not {path}")
    draft.request = replace(draft.request, working_dir=posixpath.normpath(path))


def user(draft: Draft, node: Node) -> None:
    """``user:``, a name or id, optionally with a group."""
    draft.request = replace(draft.request, user=values.word(node, "user"))


def tty(draft: Draft, node: Node) -> None:
    """``tty:``."""
    draft.request = replace(draft.request, tty=values.boolean(node, "tty", draft.context.warn_node))


def stdin_open(draft: Draft, node: Node) -> None:
    """``stdin_open:``."""
    draft.request = replace(draft.request, stdin_open=values.boolean(node, "stdin_open", draft.context.warn_node))


def init(draft: Draft, node: Node) -> None:
    """``init:``, a small init as process 1."""
    draft.request = replace(draft.request, init=values.boolean(node, "init", draft.context.warn_node))


def stop_signal(draft: Draft, node: Node) -> None:
    """``stop_signal:``, a name with or without SIG, or a number."""
    text = values.word(node, "stop_signal")
    if text.isdecimal():
        values.integer(node, "stop_signal", 1, signal.SIGRTMAX)
    else:
        known = [item.name for item in signal.Signals]
        base = text.upper().removeprefix("SIG").partition("+")[0]
        if f"SIG{base}" not in known:
            raise node.error(f"there is no signal {text}", nearest(f"SIG{base}", known))
    draft.request = replace(draft.request, stop_signal=text)


def stop_grace_period(draft: Draft, node: Node) -> None:
    """``stop_grace_period:``, a duration."""
    draft.request = replace(draft.request, stop_grace=values.duration(node, "stop_grace_period"))


def restart(draft: Draft, node: Node) -> None:
    """``restart:``, no, always, unless-stopped or on-failure with an optional count."""
    text = values.word(node, "restart")
    name, colon, count = text.partition(":")
    if name == "on-failure":
        if colon and not (count.isascii() and count.isdecimal() and len(count) < 10):
            raise node.error(f'restart: the number of retries can\'t be "{count}"', "for example on-failure:3")
        draft.request = replace(draft.request, restart=RestartPolicy("on-failure", int(count or 0)))
    else:
        chosen = _RESTARTS[values.choice(node, "restart", _RESTARTS)]
        draft.request = replace(draft.request, restart=RestartPolicy(chosen))


def labels(draft: Draft, node: Node) -> None:
    """``labels:``, a mapping or a list."""
    found: dict[str, str] = {}
    for name, value, place in values.pairs(node, "labels", "label"):
        if name.startswith(("pyctr.", "com.docker.compose.")):
            raise place.error(f"the label {name} is the engine's own", "choose another name")
        found[name] = value or ""
    draft.request = replace(draft.request, labels=found)


def container_name(draft: Draft, node: Node) -> None:
    """``container_name:``, instead of ``<stack>-<service>-<number>``."""
    text = values.word(node, "container_name")
    allowed = text.isascii() and all(c.isalnum() or c in "_.-" for c in text)
    if not allowed or len(text) < 2 or not text[0].isalnum():
        raise node.error(f'container_name can\'t be "{text}"', "letters, digits, dots, dashes and underscores")
    draft.container_name = (text, node)


def hostname(draft: Draft, node: Node) -> None:
    """``hostname:``, at most 64 characters, as the kernel has it."""
    text = values.word(node, "hostname")
    if len(text) > 64 or not text.isascii() or not all(c.isalnum() or c in "-._" for c in text):
        raise node.error(f'hostname can\'t be "{text}"', "letters, digits, dots and dashes, at most 64")
    draft.request = replace(draft.request, hostname=text)


def profiles(draft: Draft, node: Node) -> None:
    """``profiles:``; a service that has some takes part only when one of them is active."""
    draft.profiles = values.words(node, "profiles", "a profile")
