"""What the functions of this room work with: one engine's paths, database and stores, each made when first needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from pyctr_engine import events
from pyctr_engine.database import Database
from pyctr_engine.errors import NotFound, from_os_error
from pyctr_engine.paths import Paths

if TYPE_CHECKING:
    from pyctr_engine.cgroups.layout import Layout
    from pyctr_engine.cgroups.systemd import Home
    from pyctr_engine.containers.usage import Usage
    from pyctr_engine.images.store import ImageStore, Use
    from pyctr_engine.network.store import NetworkStore
    from pyctr_engine.volumes.store import VolumeStore


class Context:
    """Shared by the threads of one engine; hold ``lock`` around uses of the database."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.lock = threading.RLock()
        self.unannounced: set[str] | None = None
        """Stacks whose members have to be told of each other, while that is put off; see `Engine.batch`."""
        with contextlib.suppress(OSError):  # it is there, or else whoever needs it says what is wrong
            # For us alone, whatever the umask: images hold set-user-id programs that belong to the host's root.
            os.makedirs(paths.state, 0o700)

    @cached_property
    def database(self) -> Database:
        """The database, opened at first use."""
        return Database(self.paths.database)

    @cached_property
    def images(self) -> ImageStore:
        """The image store."""
        from pyctr_engine.images.store import ImageStore

        return ImageStore(self.paths, self._image_uses)

    @cached_property
    def networks(self) -> NetworkStore:
        """Networks and their leases."""
        from pyctr_engine.network.store import NetworkStore

        return NetworkStore(self.database, self.paths)

    @cached_property
    def volumes(self) -> VolumeStore:
        """Named volumes."""
        from pyctr_engine.volumes.store import VolumeStore

        return VolumeStore(self.database, self.paths)

    @cached_property
    def cgroups(self) -> Layout:
        """The host's cgroup hierarchies."""
        from pyctr_engine.cgroups import place

        return place.here(self.cgroup_parent)

    @cached_property
    def cgroup_home(self) -> Home:
        """Where this engine's cgroups belong."""
        from pyctr_engine.cgroups.systemd import home

        return home(self.paths.cgroup_name)

    @cached_property
    def usage(self) -> Usage:
        """What reads containers' cgroups again and again; it keeps their files open."""
        from pyctr_engine.containers.usage import Usage

        return Usage(self)

    def _image_uses(self) -> list[Use]:
        """What containers need of the images."""
        from pyctr_engine.containers import status, store
        from pyctr_engine.images.store import Use

        if not os.path.exists(self.paths.database):
            return []
        with self.lock:
            specs = store.all_specs(self.database)
        return [
            Use(spec.image_id.partition("@")[0], spec.name, spec.chain, status.is_alive(self.paths, spec.id))
            for spec in specs
        ]

    @contextlib.contextmanager
    def creating(self) -> Iterator[None]:
        """Hold this while a container is half made: from before its record until it is whole."""
        with self._creation(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def nobody_creating(self) -> Iterator[bool]:
        """Hold this while sweeping what is half made. Yields False, at once, while somebody is making some."""
        try:
            with self._creation(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    @contextlib.contextmanager
    def _creation(self, operation: int) -> Iterator[None]:
        path = self.paths.creation_lock
        try:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                os.makedirs(self.paths.state, 0o700, exist_ok=True)
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise from_os_error(error, "use the state directory") from error
        try:
            fcntl.flock(fd, operation)
            yield
        finally:
            os.close(fd)

    @property
    def cgroup_parent(self) -> str:
        """The cgroup under which all of this engine's live, relative to a hierarchy's root."""
        return self.cgroup_home.parent

    def event(self, type: str, action: str, id: str, name: str, **attributes: str) -> None:
        """Append to the event log."""
        events.append(self.paths.events, type, action, id, name, attributes)

    @contextlib.contextmanager
    def container_lock(self, id: str, wait: bool = True) -> Iterator[None]:
        """Keep other engines from starting or removing the same container meanwhile.

        Raises:
            NotFound: its directory is gone.
            BlockingIOError: another has it, and ``wait`` is off.
        """
        try:
            fd = os.open(self.paths.container(id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _gone(id) from None
        except OSError as error:
            raise from_os_error(error, "lock the container") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink == 0:  # removed while we waited: what is made for it now would stay for ever
                raise _gone(id)
            yield
        finally:
            os.close(fd)


def _gone(id: str) -> NotFound:
    return NotFound(f"container {id[:12]} is gone", "`pyctr-tui ps -a` lists all containers")
