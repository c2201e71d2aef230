"""Stacks: what a file asks for, and what has to happen for it."""

from __future__ import annotations

from typing import Literal

from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.record import dataclass

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
ActionKind = Literal["keep", "create", "recreate", "start", "stop", "remove"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """``service`` has to meet ``condition`` first."""

    service: str
    condition: Condition = "service_started"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Service:
    """One service: a container request (without its name) made ``replicas`` times.

    ``container_name`` replaces ``<stack>-<service>-<number>`` and allows one replica only.
    """

    name: str
    request: ContainerRequest
    depends_on: tuple[Dependency, ...] = ()
    replicas: int = 1
    container_name: str = ""

    def container(self, number: int) -> str:
        """The name of its replica ``number`` (from 1)."""
        return self.container_name or f"{self.request.stack}-{self.name}-{number}"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as loaded: services in an order in which each comes after what it depends on.

    Attributes:
        name: From ``name:``, ``-p``, or the directory.
        path: The file it was read from, absolute.
        volumes: Named volumes it declares, as the engine names them (``<stack>_<name>`` unless external or named).
        external_volumes: Named volumes that belong to somebody else: never made, never removed.
        inactive: Services left out because none of their profiles is active.
        warnings: Sentences for the user, each beginning with ``file:line:column:``.
    """

    name: str
    path: str
    services: tuple[Service, ...]
    volumes: tuple[str, ...] = ()
    external_volumes: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan: what is done to which container, and why (one short phrase)."""

    kind: ActionKind
    container: str
    service: str
    reason: str
    request: ContainerRequest | None = None


@dataclass(frozen=True, slots=True)
class StackSummary:
    """A stack as its containers show it."""

    name: str
    path: str
    running: int
    total: int
