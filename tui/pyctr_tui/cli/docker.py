"""What people who know docker will try and not find: what to do instead. Read only where something is unknown."""

from __future__ import annotations

from collections.abc import Sequence

_ONE_HOST = "one machine is all that it knows; the same stack files run on Swarm and Kubernetes"
_COMMANDS = {
    "build": "`pyctr-tui commit` makes an image of a container, `pyctr-tui import` one of a file system's tar",
    "builder": "`pyctr-tui commit` makes an image of a container",
    "buildx": "`pyctr-tui commit` makes an image of a container",
    "compose": "`pyctr-tui up FILE` and `pyctr-tui down FILE` are for stacks; `ps`, `logs` and `stack config` too",
    "context": _ONE_HOST,
    "info": "`pyctr-tui doctor` examines the host, `pyctr-tui version` tells the version",
    "network": "networks: bridge (the default), none, host, container:NAME; `pyctr-tui run --network …`",
    "node": _ONE_HOST,
    "plugin": "there are no plugins",
    "search": "`pyctr-tui pull NAME` fetches what you know the name of",
    "service": _ONE_HOST,
    "swarm": _ONE_HOST,
    "system info": "`pyctr-tui doctor` examines the host",
}

_RUN_OPTIONS = {
    "--annotation": "labels serve as well: -l KEY=VALUE",
    "--cidfile": "the id is printed: `pyctr-tui run -d … > FILE`",
    "--cpu-rt-period": "real-time scheduling is not handed out; --cpus, --cpu-shares and --cpuset-cpus are",
    "--cpu-rt-runtime": "real-time scheduling is not handed out; --cpus, --cpu-shares and --cpuset-cpus are",
    "--cpu-count": "that is Windows'; --cpus NUMBER limits CPU time here",
    "--cpu-percent": "that is Windows'; --cpus NUMBER limits CPU time here",
    "--io-maxbandwidth": "that is Windows'; --device-read-bps and --device-write-bps limit disks here",
    "--io-maxiops": "that is Windows'; --device-read-iops and --device-write-iops limit disks here",
    "--kernel-memory": "kernel memory is part of --memory",
    "--dns": "resolvers are the host's; others by a file: -v FILE:/etc/resolv.conf:ro",
    "--dns-option": "resolvers are the host's; others by a file: -v FILE:/etc/resolv.conf:ro",
    "--dns-search": "resolvers are the host's; others by a file: -v FILE:/etc/resolv.conf:ro",
    "--expose": "ports need not be exposed: peers reach all of them, the host too; -p publishes one",
    "--gpus": "devices one by one: --device /dev/…",
    "--ip": "addresses are leased; `pyctr-tui inspect` tells which, and names lead to it",
    "--label-file": "labels one by one: -l KEY=VALUE",
    "--link": "containers find each other by name on the bridge",
    "--mac-address": "it follows from the address",
    "--publish-all": "name the ports: -p PORT publishes one on any free port",
    "-P": "name the ports: -p PORT publishes one on any free port",
    "--runtime": "it is its own runtime",
    "--volume-driver": "volumes are directories of this host",
    "--volumes-from": "name the volumes: -v NAME:/DIR",
}


def elsewhere(words: Sequence[str]) -> str:
    """What to do instead of a command of docker's; empty where there is nothing to say."""
    return _COMMANDS.get(" ".join(words[:2]), _COMMANDS.get(words[0], ""))


def option_elsewhere(command: str, name: str) -> str:
    """What to do instead of an option of docker's ``run``; empty where there is nothing to say."""
    return _RUN_OPTIONS.get(name, "") if command in ("run", "create") else ""
