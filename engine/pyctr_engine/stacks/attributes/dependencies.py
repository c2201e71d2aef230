"""``depends_on:``, and the order that it gives."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping as Table

from pyctr_engine.model.stack import Condition, Dependency
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node, nearest
from pyctr_engine.stacks.draft import Draft

_CONDITIONS: dict[str, Condition] = {
    "service_started": "service_started",
    "service_healthy": "service_healthy",
    "service_completed_successfully": "service_completed_successfully",
}


def depends_on(draft: Draft, node: Node) -> None:
    """``depends_on:``, names, or a mapping of name → condition, required, restart."""
    if not isinstance(node, Mapping):
        for item in values.items(node, "depends_on"):
            name = values.word(item, "a service")
            draft.depends_on[name] = (Dependency(name), item)
        return
    for key, value in node:
        options = values.mapping(value, f"depends_on {key.text}")
        values.known_keys(options, f"depends_on {key.text}", ("condition", "required", "restart"))
        condition: Condition = "service_started"
        if (given := options.get("condition")) is not None:
            condition = _CONDITIONS[values.choice(given, "condition", _CONDITIONS)]
        required = (given := options.get("required")) is None or values.boolean(given, "required")
        if (given := options.get("restart")) is not None and values.boolean(given, "restart"):
            draft.context.warn_node(given, "depends_on.restart has no effect: a restart keeps the network and name")
        draft.depends_on[key.text] = (Dependency(key.text, condition, required), key)


def check(drafts: Table[str, Draft], inactive: Table[str, Draft]) -> None:
    """Raise InvalidStack for a dependency on a service that isn't there; drop those that need not be."""
    for draft in drafts.values():
        for name, (dependency, node) in list(draft.depends_on.items()):
            if name == draft.name:
                raise node.error(f"{name} depends on itself")
            if name in drafts:
                continue
            if not dependency.required:
                del draft.depends_on[name]
            elif name in inactive:
                profiles = " or ".join(inactive[name].profiles)
                raise node.error(
                    f"{draft.name} depends on {name}, whose profile is not active", f"set COMPOSE_PROFILES={profiles}"
                )
            else:
                raise node.error(
                    f"{draft.name} depends on {name}, which is not a service here", nearest(name, drafts)
                )


def order(drafts: Table[str, Draft]) -> list[Draft]:
    """Each after what it depends on, in the file's order otherwise. Raises InvalidStack that names a cycle."""
    sorter = graphlib.TopologicalSorter({name: list(draft.depends_on) for name, draft in drafts.items()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        # graphlib lists each before the one that depends on it; people read "a depends on b" the other way round
        cycle: list[str] = error.args[1][::-1]
        _, place = drafts[cycle[0]].depends_on[cycle[1]]
        raise place.error(
            f"services depend on each other in a circle: {' → '.join(cycle)}", "break it somewhere"
        ) from None
    # graphlib's own order goes level by level; this one stays near the file's
    done: dict[str, Draft] = {}
    pending = list(drafts)[::-1]
    while pending:
        draft = drafts[pending[-1]]
        missing = [name for name in draft.depends_on if name not in done]
        if missing:
            pending += missing[::-1]
        else:
            done.setdefault(draft.name, draft)
            pending.pop()
    return list(done.values())
