"""What a file says beside its services: keys, volumes, networks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node, Sequence, nearest
from pyctr_engine.stacks.draft import Context, Draft

_KEYS = ("name", "services", "volumes", "networks", "version")
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNSUPPORTED = ("secrets", "configs", "include", "models")


@dataclass(frozen=True, slots=True)
class Volumes:
    """Named volumes as the engine names them: the stack's own, and those that must be there already."""

    own: tuple[str, ...]
    external: tuple[str, ...]


def check_keys(root: Mapping, context: Context) -> None:
    """Raise InvalidStack for what a file can't say."""
    for key, value in root:
        if key.text == "version":
            context.warn(key.mark, "version is obsolete and has no effect; leave it out")
        elif key.text in _UNSUPPORTED and not value.is_null and not _is_empty(value):
            verb = "is" if key.text == "include" else "are"
            raise key.error(f"{key.text} {verb} not supported yet", "leave it out")
    values.known_keys(root, "a stack file", (*_KEYS, *_UNSUPPORTED))


def _is_empty(node: Node) -> bool:
    return (isinstance(node, Mapping) and not node.entries) or (isinstance(node, Sequence) and not node.items)


def volumes(root: Mapping, context: Context) -> Volumes:
    """Read the top-level ``volumes:``; the context learns their names."""
    own: list[str] = []
    external: list[str] = []
    node = root.get("volumes")
    for key, value in values.mapping(node, "volumes") if node is not None else ():
        options = values.mapping(value, f"the volume {key.text}")
        what = "a volume"
        values.known_keys(options, what, ("name", "external", "driver", "labels", "driver_opts"))
        given = options.get("name")
        is_external, older_name = _external(options)
        name = values.word(given, "name") if given is not None else older_name
        if not name:
            name = key.text if is_external else f"{context.stack}_{key.text}"
        if not _VOLUME_NAME.fullmatch(name):
            raise (given or key).error(
                f"{name} can't be a volume's name", "letters, digits, dots, dashes, underscores"
            )
        driver, driver_options = options.get("driver"), options.get("driver_opts")
        if driver is not None and values.string(driver, "driver") not in ("local", "default"):
            raise driver.error("volume drivers other than local are not supported yet", "leave driver out")
        if driver_options is not None and values.mapping(driver_options, "driver_opts").entries:
            raise driver_options.error("driver_opts of a volume are not supported yet", "bind a directory instead")
        if (labels := options.get("labels")) is not None:
            values.pairs(labels, "labels", "label")
            context.warn_node(labels, "labels of volumes have no effect yet")
        context.volumes[key.text] = name
        (external if is_external else own).append(name)
    context.own_volumes = set(own)
    return Volumes(tuple(own), tuple(external))


def _external(options: Mapping) -> tuple[bool, str]:
    """Whether it belongs to somebody else, and its name in the old form ``external: {name: …}``."""
    node = options.get("external")
    if node is None:
        return False, ""
    if isinstance(node, Mapping):
        values.known_keys(node, "external", ("name",))
        name = node.get("name")
        return True, values.word(name, "name") if name is not None else ""
    return values.boolean(node, "external"), ""


def check_networks(root: Mapping, drafts: list[Draft], context: Context) -> None:
    """All services share one network for now; raise InvalidStack where a file relies on more than one.

    Networks of a file's own are fine as long as every two services share one: then all reach all, as on the one.
    """
    node = root.get("networks")
    declared = values.mapping(node, "networks") if node is not None else Mapping(root.mark, ())
    for key, value in declared:
        _check_network(key.text, values.mapping(value, f"the network {key.text}"), context)
    known = {"default", *(key.text for key, _ in declared)}
    members: list[tuple[Draft, set[str], Node]] = []
    for draft in drafts:
        for name, place in draft.networks.items():
            if name not in known:
                raise place.error(f"no network {name} is declared", nearest(name, known) or "declare it in networks:")
        if draft.joins is None and draft.request.network == "bridge":
            place = next(iter(draft.networks.values()), draft.node)
            members.append((draft, set(draft.networks) or {"default"}, place))
    for index, (one, its, place) in enumerate(members):
        for other, others, _ in members[:index]:
            if not its & others:
                raise place.error(
                    f"{one.name} and {other.name} share no network; separate networks are not supported yet",
                    "put both on one network",
                )


def _check_network(name: str, options: Mapping, context: Context) -> None:
    known = ("name", "driver", "external", "internal", "labels", "attachable", "enable_ipv4", "enable_ipv6")
    values.known_keys(options, f"the network {name}", known, ("ipam", "driver_opts"))
    for key in ("external", "internal", "enable_ipv6"):
        given = options.get(key)
        if given is not None and (isinstance(given, Mapping) or values.boolean(given, key, context.warn_node)):
            raise given.error(f"{key} networks are not supported yet".replace("enable_ipv6", "IPv6"), "leave it out")
    driver = options.get("driver")
    if driver is not None and values.string(driver, "driver") not in ("bridge", "default"):
        raise driver.error("network drivers other than bridge are not supported yet", "leave driver out")
