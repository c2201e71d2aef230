"""What tells one definition of a service from another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from pyctr_engine.model.spec import ContainerRequest

_DEFAULT = ContainerRequest(image="")
OWN_LABELS = ("pyctr.", "com.docker.compose.")
"""Labels that begin so are the engine's own, and tell where a container belongs, not what it is."""
_NOT_COMPARED = frozenset({"name", "number", "config_hash", "stack", "service", "auto_remove", "pull"})


def comparable(request: ContainerRequest) -> dict[str, Any]:
    """The fields that make a difference, as plain JSON values; those that are as usual are left out.

    So what a later version adds makes no container another one.
    """
    fields = {
        field.name: getattr(request, field.name)
        for field in dataclasses.fields(request)
        if field.name not in _NOT_COMPARED and getattr(request, field.name) != getattr(_DEFAULT, field.name)
    }
    fields["labels"] = {name: value for name, value in request.labels.items() if not name.startswith(OWN_LABELS)}
    # variables are a set: their order in the file means nothing
    fields["env"] = sorted(request.env)
    plain: dict[str, Any] = json.loads(json.dumps(fields, default=_plain))
    return {name: value for name, value in plain.items() if value not in ({}, [])}


def config_hash(request: ContainerRequest) -> str:
    """SHA-256, hex, of all that makes a difference; the same for two requests that ask for the same."""
    text = json.dumps(comparable(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        usual = {field.name: field.default for field in dataclasses.fields(value)}
        fields = {name: getattr(value, name) for name in usual}
        return {name: given for name, given in fields.items() if given != usual[name]}
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"{type(value).__name__} has no place in a request")
