"""From a stack file to a `Stack`: read, interpolate, check, put in order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Table
from dataclasses import replace
from typing import Any

from pyctr_engine.errors import InvalidValue, NotFound
from pyctr_engine.model.stack import Service, Stack
from pyctr_engine.stacks import document, dotenv, service, toplevel, values
from pyctr_engine.stacks.attributes import dependencies
from pyctr_engine.stacks.digest import config_hash
from pyctr_engine.stacks.document import Mapping
from pyctr_engine.stacks.draft import Context, Draft
from pyctr_engine.stacks.interpolate import BadTemplate, interpolate, substitute

_STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load(path: str, name: str = "", env: Table[str, str] | None = None, text: str | None = None) -> Stack:
    """Read a stack file, or the one in a directory.

    Args:
        path: The file, as errors will show it.
        name: The stack's name; else COMPOSE_PROJECT_NAME, the file's ``name:``, or its directory's.
        env: Variables; the process's own environment when ``None``. They win over ``.env`` beside the file.
        text: What the file will hold, in the place of what it holds now; it need not be there then.

    Raises:
        InvalidStack: what is wrong, as ``file:line:column: …``, with a hint.
        InvalidValue: ``name`` can't be a stack's.
        NotFound: there is no such file.
    """
    path = document.find(path)
    root = document.read(path) if text is None else document.parse(text, path)
    absolute = os.path.abspath(path)
    context = Context("", os.path.dirname(absolute), os.environ if env is None else env)
    context.variables = _variables(path, context)
    context.stack = _name(root, name, absolute, context)
    context.variables = {**context.variables, "COMPOSE_PROJECT_NAME": context.stack}
    root = _interpolated(root, context)
    toplevel.check_keys(root, context)
    volumes = toplevel.volumes(root, context)
    drafts, inactive = _drafts(root, context)
    dependencies.check(drafts, inactive)
    toplevel.check_networks(root, list(drafts.values()), context)
    ordered = dependencies.order(drafts)
    stack = Stack(
        name=context.stack,
        path=absolute,
        services=tuple(service.finish(draft) for draft in ordered),
        volumes=volumes.own,
        external_volumes=volumes.external,
        inactive=tuple(inactive),
        warnings=tuple(context.warnings),
    )
    return _join_networks(stack, drafts)


def config(path: str, name: str = "", env: Table[str, str] | None = None) -> str:
    """The file with all variables replaced and all short forms written out, as YAML. See `load`."""
    from pyctr_engine.stacks.render import render

    return render(load(path, name, env))


def _variables(path: str, context: Context) -> dict[str, str]:
    """The environment over the ``.env`` file beside the stack file, when there is one."""
    given = dict(context.variables)
    try:
        found = dotenv.read(os.path.join(os.path.dirname(path), ".env"), given, context.warn)
    except NotFound:
        return given
    return {**found, **given}


def _name(root: Mapping, given: str, path: str, context: Context) -> str:
    """The stack's name."""
    rule = "lower-case letters, digits, dashes and underscores"
    for source, text in (("", given), ("COMPOSE_PROJECT_NAME: ", context.variables.get("COMPOSE_PROJECT_NAME", ""))):
        if text:
            if not _STACK_NAME.fullmatch(text):
                raise InvalidValue(f"{source}a stack's name can't be \"{text}\"", rule)
            return text
    node = root.get("name")
    if node is not None:
        text = values.word(node, "name")
        try:
            text = substitute(text, context.variables, lambda what: context.warn(node.mark, what))
        except BadTemplate as error:
            raise node.error(str(error)) from None
        if not _STACK_NAME.fullmatch(text):
            raise node.error(f"a stack's name can't be \"{text}\"", rule)
        return text
    directory = os.path.basename(os.path.dirname(path))
    text = re.sub(r"[^a-z0-9_-]", "", directory.lower()).lstrip("_-")
    if not text:
        raise root.error(f'no name can be made of the directory "{directory}"', "add name: at the top")
    return text


def _interpolated(root: Mapping, context: Context) -> Mapping:
    """The file with its variables replaced, but for ``x-…``, which only anchors use."""
    entries = [
        (key, value if key.text == "name" or key.text.startswith("x-") else _value(value, context))
        for key, value in root
    ]
    return replace(root, entries=tuple(entries))


def _value(node: document.Node, context: Context) -> document.Node:
    return interpolate(node, context.variables, context.warn)


def _drafts(root: Mapping, context: Context) -> tuple[dict[str, Draft], dict[str, Draft]]:
    """The services that take part, and those left out because no profile of theirs is active."""
    node = root.get("services")
    services = values.mapping(node, "services") if node is not None else None
    if services is None or not services.entries:
        raise (node or root).error("there are no services", "add services: with at least one")
    wanted = {text.strip() for text in context.variables.get("COMPOSE_PROFILES", "").split(",")}
    active: dict[str, Draft] = {}
    inactive: dict[str, Draft] = {}
    for key, value in services:
        if key.text.startswith("x-"):
            continue
        if not _SERVICE_NAME.fullmatch(key.text):
            raise key.error(f'a service can\'t be named "{key.text}"', "letters, digits, dots, dashes, underscores")
        body = values.mapping(value, f"the service {key.text}")
        draft = service.read(key.text, key.mark, body, context)
        takes_part = not draft.profiles or "*" in wanted or wanted & set(draft.profiles)
        (active if takes_part else inactive)[key.text] = draft
    return active, inactive


def _join_networks(stack: Stack, drafts: Table[str, Draft]) -> Stack:
    """Give services that share another's network (``network_mode: service:x``) its container's name."""
    by_name = {item.name: item for item in stack.services}
    finished = []
    for item in stack.services:
        joins = drafts[item.name].joins
        if joins is not None:
            owner = _owner(by_name, *joins, "network")
            item = replace(item, request=replace(item.request, network=owner, aliases=()))
        for kind, (name, node) in drafts[item.name].shares.items():
            owned: dict[str, Any] = {kind: _owner(by_name, name, node, f"{kind} namespace")}
            shared = replace(item.request.namespaces, **owned)
            item = replace(item, request=replace(item.request, namespaces=shared))
        if joins is not None or drafts[item.name].shares:
            item = replace(item, request=replace(item.request, config_hash=config_hash(item.request)))
        finished.append(item)
    return replace(stack, services=tuple(finished))


def _owner(by_name: Table[str, Service], name: str, node: document.Node, what: str) -> str:
    """The mode that shares a namespace with a service's only container."""
    target = by_name[name]
    if target.replicas != 1:
        raise node.error(f"{name} has {target.replicas} replicas: whose {what} would it be?")
    return f"container:{target.container(1)}"
