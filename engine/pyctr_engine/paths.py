"""Every path under the state and run directories, in one place."""

from __future__ import annotations

import hashlib
import os

DEFAULT_STATE = "/var/lib/pyctr-tui"
DEFAULT_RUN = "/run/pyctr-tui"


GOING = ".going-"
"""What the names of containers' directories begin with while they are being removed."""


class Paths:
    """Where facts live. ``state`` survives a reboot, ``run`` doesn't; both are absolute strings.

    Strings, not ``pathlib``: these are joined on the start path, and pathlib costs 10 ms to import.
    """

    __slots__ = ("run", "state")

    def __init__(self, state: str | None = None, run: str | None = None) -> None:
        rootless = os.geteuid() != 0
        if state is None:
            state = os.environ.get("PYCTR_STATE_DIR") or (_user_state() if rootless else DEFAULT_STATE)
        if run is None:
            run = os.environ.get("PYCTR_RUN_DIR") or (_user_run() if rootless else DEFAULT_RUN)
        self.state = os.path.abspath(state)
        self.run = os.path.abspath(run)

    @property
    def tag(self) -> str:
        """Eight hex digits that tell this state directory's kernel objects from another's; empty for the default.

        Bridges, cgroups and nft tables are named after it, so that two engines never meet.
        """
        if self.state == DEFAULT_STATE:
            return ""
        return hashlib.sha256(self.state.encode()).hexdigest()[:8]

    @property
    def cgroup_parent(self) -> str:
        """The cgroup under which all containers of this state directory live, relative to a hierarchy's root."""
        return f"pyctr-tui-{self.tag}" if self.tag else "pyctr-tui"

    @property
    def oci(self) -> str:
        """The OCI image layout."""
        return f"{self.state}/oci"

    @property
    def layers(self) -> str:
        """Unpacked layers, ``<chain id hex>/``, and their short links ``l/<short>``."""
        return f"{self.state}/layers"

    @property
    def database(self) -> str:
        """The SQLite database of specs, names and leases."""
        return f"{self.state}/pyctr.db"

    @property
    def creation_lock(self) -> str:
        """Who makes a container holds it, so that nobody takes the half-made one for what a crash left."""
        return f"{self.state}/creating.lock"

    @property
    def containers(self) -> str:
        """The durable directories of all containers."""
        return f"{self.state}/containers"

    def container(self, id: str) -> str:
        """A container's durable directory: upper/ work/ logs/ history start-trace.json."""
        return f"{self.state}/containers/{id}"

    def going(self, id: str) -> str:
        """Where a container's durable directory is while it is being removed."""
        return f"{self.state}/containers/{GOING}{id}"

    @property
    def volumes(self) -> str:
        """Named volumes: ``<name>/_data``."""
        return f"{self.state}/volumes"

    @property
    def events(self) -> str:
        """The event log's directory."""
        return f"{self.state}/events"

    @property
    def cache(self) -> str:
        """Things that can be made again: compiled seccomp programs."""
        return f"{self.state}/cache"

    @property
    def run_containers(self) -> str:
        """The run directories of all containers."""
        return f"{self.run}/containers"

    def run_container(self, id: str) -> str:
        """A container's run directory: state.json monitor.sock hosts resolv.conf hostname."""
        return f"{self.run}/containers/{id}"

    @property
    def spawner_socket(self) -> str:
        """Where the spawner listens."""
        return f"{self.run}/spawner.sock"


def _user_state() -> str:
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return f"{base}/pyctr-tui"


def _user_run() -> str:
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/pyctr-tui-{os.getuid()}"
    return f"{base}/pyctr-tui"
