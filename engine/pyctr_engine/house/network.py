"""Doing things in the house's network namespace, from a process that is not in it.

A thread of its own joins it and does them one after the other: threads may be in network namespaces of their own, and
from the house there is no way back into the host's. Outside of a house, all is done where it is asked for.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from pyctr_engine.errors import StoreError, from_os_error
from pyctr_engine.linux import namespaces
from pyctr_engine.paths import House, current_house

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

_lock = threading.Lock()
_rooms: dict[int, _Room] = {}


def in_network(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Decorate a function that works on links, rules or sysctls of the network that containers are in."""

    @functools.wraps(function)
    def wrapped(*given: _Given.args, **named: _Given.kwargs) -> _Result:
        house = current_house()
        if house is None or threading.current_thread().name == _NAME:
            return function(*given, **named)
        return _room(house).call(lambda: function(*given, **named))

    return wrapped


_NAME = "pyctr-network"


def _room(house: House) -> _Room:
    with _lock:
        own = os.getpid()  # a forked child has no threads
        if own not in _rooms:
            _rooms[own] = _Room(house.network)
        return _rooms[own]


class _Room:
    """The thread, and what it is to do next."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._wanted = threading.Condition()
        self._tasks: list[_Task[Any]] = []
        self._entered = threading.Event()
        self._failure: OSError | None = None
        threading.Thread(target=self._serve, name=_NAME, daemon=True).start()
        self._entered.wait()
        if self._failure is not None:
            failure = self._failure
            if isinstance(failure, FileNotFoundError):
                raise StoreError(
                    "the network of this user's containers is gone", "stop them all, and wait two minutes"
                ) from failure
            raise from_os_error(failure, "enter the network of this user's containers") from failure

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Have it done there; what it returns, or raises."""
        task: _Task[_Result] = _Task(function)
        with self._wanted:
            self._tasks.append(task)
            self._wanted.notify()
        task.done.wait()
        if task.error is not None:
            raise task.error
        return task.result[0]

    def _serve(self) -> None:
        try:
            namespaces.join_network(self._path)
        except OSError as error:
            self._failure = error
            return
        finally:
            self._entered.set()
        while True:
            with self._wanted:
                while not self._tasks:
                    self._wanted.wait()
                task = self._tasks.pop(0)
            task.run()


class _Task(Generic[_Result]):
    """A call, and what became of it."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: list[_Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result.append(self.function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it was asked for
            self.error = error
        self.done.set()
