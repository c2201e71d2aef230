"""A service while its attributes are being read; they come in any order."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Any

from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.model.stack import Dependency
from pyctr_engine.stacks.document import Mapping, Mark, Node, printable


@dataclass(slots=True)
class Context:
    """What all services of a file share.

    Attributes:
        stack: The stack's name.
        directory: The file's directory, absolute: relative paths start there.
        variables: The environment over ``.env``.
        warnings: Sentences collected for the caller, each beginning with its place.
        volumes: The declared volumes: name in the file → name in the engine.
        own_volumes: Those of them, as the engine names them, that belong to the stack.
    """

    stack: str
    directory: str
    variables: Table[str, str]
    warnings: list[str] = field(default_factory=list)
    volumes: dict[str, str] = field(default_factory=dict)
    own_volumes: set[str] = field(default_factory=set)

    def warn(self, place: Mark, what: str) -> None:
        """Collect a warning, once."""
        text = f"{place}: {printable(what)}"
        if text not in self.warnings:
            self.warnings.append(text)

    def warn_node(self, node: Node, what: str) -> None:
        """Collect a warning about a value."""
        self.warn(node.mark, what)


@dataclass(slots=True)
class Draft:
    """One service being read.

    Attributes:
        name: Its name in the file.
        place: Where its name stands.
        request: What is known so far, without what needs other attributes or other services.
        env_files: Variables from ``env_file:``; ``environment`` wins over them (``None``: taken out).
        limits: Resources (and replicas) given so far, with the attribute that gave each.
        depends_on: Dependencies by service, with the place of each.
        shares: Services whose other namespaces it shares, by kind (pid, ipc), and where that is said.
        joins: The service whose network it shares, and where that is said.
        networks: Networks it is on, with the place of each; empty for the default one.
        container_name: Instead of a made-up name, with its place.
    """

    name: str
    place: Mark
    node: Mapping
    context: Context
    request: ContainerRequest = field(default_factory=lambda: ContainerRequest(image=""))
    env_files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str | None] = field(default_factory=dict)
    limits: dict[str, tuple[Any, str]] = field(default_factory=dict)
    depends_on: dict[str, tuple[Dependency, Node]] = field(default_factory=dict)
    joins: tuple[str, Node] | None = None
    shares: dict[str, tuple[str, Node]] = field(default_factory=dict)
    networks: dict[str, Node] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    container_name: tuple[str, Node] | None = None

    def limit(self, name: str, value: Any, attribute: str, node: Node) -> None:
        """Note a limit; two attributes may give the same one, but not differently."""
        known = self.limits.get(name)
        if known is not None and known[0] != value:
            raise node.error(f"{attribute} differs from {known[1]}, which says {known[0]}", "keep one of them")
        self.limits[name] = (value, attribute)

    def depend(self, dependency: Dependency, node: Node) -> None:
        """Note a dependency; the strongest said first wins."""
        self.depends_on.setdefault(dependency.service, (dependency, node))
