"""``logging:``: how much of what a service writes is kept."""

from __future__ import annotations

from pyctr_engine.model.spec import Logging
from pyctr_engine.record import replace
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node, Scalar
from pyctr_engine.stacks.draft import Draft

_IGNORED = ("compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size")


def logging(draft: Draft, node: Node) -> None:
    """``driver`` (json-file, local or none) and ``options`` (max-size, max-file, rate-limit)."""
    given = values.mapping(node, "logging")
    values.known_keys(given, "logging", ("driver", "options"))
    kept = Logging()
    options = given.get("options")
    if options is not None:
        kept = _options(draft, values.mapping(options, "options"), kept)
    driver = given.get("driver")
    if driver is not None:
        name = values.word(driver, "driver")
        if name == "none":
            kept = replace(kept, max_size=0)
        elif name not in ("json-file", "local"):
            draft.context.warn_node(driver, f"the log driver {name} is not here: the engine keeps the log itself")
    draft.request = replace(draft.request, logging=kept)


def _options(draft: Draft, options: Mapping, kept: Logging) -> Logging:
    for key, value in options:
        if key.text == "max-size":
            kept = replace(kept, max_size=values.size(value, "max-size"))
        elif key.text == "max-file":
            kept = replace(kept, max_files=_number(value, "max-file"))
        elif key.text == "rate-limit":
            kept = replace(kept, rate=_number(value, "rate-limit"))
        elif key.text in _IGNORED:
            draft.context.warn(key.mark, f"logging: {key.text} has no effect here")
        else:
            draft.context.warn(key.mark, f"logging: the option {key.text} is not known here")
    return kept


def _number(node: Node, what: str) -> int:
    """A whole number; the Compose specification's options are strings."""
    text = node.text if isinstance(node, Scalar) else ""
    if not text.isdecimal():
        raise node.error(f"{what} must be a whole number, not {node.kind}")
    return int(text)
