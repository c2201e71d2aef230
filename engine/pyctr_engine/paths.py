"""Every path under the state and run directories, in one place."""

from __future__ import annotations

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
        rootless = is_rootless()
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
        import hashlib  # the spawner imports this file, and has no use for OpenSSL

        return hashlib.sha256(self.state.encode()).hexdigest()[:8]

    @property
    def cgroup_name(self) -> str:
        """The name of the cgroup under which all containers of this state directory live; see `cgroups.systemd`."""
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
    def house(self) -> House:
        """Where an ordinary user's house is recorded; see `pyctr_engine.house`."""
        return House(self.run)

    @property
    def spawner_socket(self) -> str:
        """Where the spawner listens."""
        return f"{self.run}/spawner.sock"


class House:
    """The files of an ordinary user's house, in the run directory."""

    __slots__ = ("run",)

    def __init__(self, run: str) -> None:
        self.run = run

    @property
    def identity(self) -> str:
        """Pid and start time of its keeper."""
        return f"{self.run}/house.pid"

    @property
    def lock(self) -> str:
        """Shared by those who enter, held alone by who makes or leaves it."""
        return f"{self.run}/house.lock"

    @property
    def network(self) -> str:
        """In the house: its network namespace, mounted here. Outside: an empty file.

        In the user's runtime directory it lies where the AppArmor profile that pasta comes with lets it look.
        """
        parts = self.run.split("/")
        if self.run.startswith("/run/user/") and len(parts) > 4:
            return f"{'/'.join(parts[:4])}/netns/{'-'.join(parts[4:])}"
        return f"{self.run}/house.net"

    @property
    def uplink(self) -> str:
        """What leads out of its network (JSON): see `pyctr_engine.house.uplink`."""
        return f"{self.run}/house.uplink"

    @property
    def log(self) -> str:
        """What keeper and uplink complained of."""
        return f"{self.run}/house.log"


HOUSE_VARIABLE = "PYCTR_HOUSE"
"""In the environment of whatever runs in a house: the user's id outside, a colon, the house's run directory."""


def in_house() -> bool:
    """Whether this process has entered an ordinary user's house: it is root, of what is the user's.

    The variable alone would be believed from anybody; the kernel's word is that 0 is the user whom it names.
    """
    value = os.environ.get(HOUSE_VARIABLE)
    if not value or os.geteuid() != 0:
        return False
    if value not in _believed:
        with open("/proc/self/uid_map") as file:
            words = file.readline().split()
        _believed[value] = words == ["0", value.partition(":")[0], "1"] and words[1] != "0"
    return _believed[value]


_believed: dict[str, bool] = {}


def is_rootless() -> bool:
    """Whether an ordinary user's engine is meant, in the house or before it is entered."""
    return os.geteuid() != 0 or in_house()


def user_id() -> int:
    """The user's own id, in the house too."""
    return int(os.environ[HOUSE_VARIABLE].partition(":")[0]) if in_house() else os.geteuid()


def current_house() -> House | None:
    """The house that this process is in; ``None`` outside of any."""
    return House(os.environ[HOUSE_VARIABLE].partition(":")[2]) if in_house() else None


def _user_state() -> str:
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return f"{base}/pyctr-tui"


def _user_run() -> str:
    """XDG_RUNTIME_DIR's, which is not always set where it is there (su, cron); else one in /tmp."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and not os.access(base, os.W_OK):
        base = ""  # of the user who was before su(1)
    usual = f"/run/user/{user_id()}"
    if not base:
        base = usual if os.path.isdir(usual) else f"/tmp/pyctr-tui-{user_id()}"
    return f"{base}/pyctr-tui"
