"""Starting: a spec becomes a start request, and the monitor's answer a running container."""

from __future__ import annotations

import base64
import os
import resource
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from pyctr_engine.cgroups import devices as device_rules
from pyctr_engine.containers import (
    apparmor,
    confinement,
    hosts,
    resolve,
    seccomp,
    settings,
    sharing,
    spawner,
    status,
    store,
    stub,
)
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.session import StreamSession, Unanswered
from pyctr_engine.errors import Conflict, InvalidValue, Unsupported, from_os_error
from pyctr_engine.linux import capabilities, namespaces, rtnetlink
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, DeviceRule, Port, Resources
from pyctr_engine.model.status import State
from pyctr_engine.paths import current_house
from pyctr_engine.runtime import protocol, trees
from pyctr_engine.snapshots import stack as snapshots

if TYPE_CHECKING:
    from pyctr_engine.model.network import Network


def start(
    context: Context, spec: ContainerSpec, attach: bool, connection: socket.socket | None = None
) -> StreamSession:
    """Start a container that does not run; the session ends after STARTED unless ``attach``.

    ``connection`` is one to the spawner if there is one already: the sooner it is made, the sooner a monitor waits.
    Raises Conflict when it runs already, CommandError or StartError when it can't be started.
    """
    connection = connection or spawner.connect(context.paths)
    try:
        with context.container_lock(spec.id):
            _wait_for_old_monitor(context, spec)
            network, ports = _connected_network(context, spec)
            try:
                request = build_request(context, spec, network, ports, attach)
                session = _request_start(context, spec, request, connection)
                _await_ports(context, spec, ports, session)
            except BaseException:
                disconnect_network(context, spec)
                raise
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise from_os_error(error, f"start {spec.name}") from error
        raise
    hosts.announce(context, spec)
    return session


def _request_start(
    context: Context, spec: ContainerSpec, request: protocol.StartRequest, connection: socket.socket
) -> StreamSession:
    """Have it started. A starter answers before it hands over: one that was killed has left nothing, ask another."""
    session = StreamSession(spawner.request_start(context.paths, request, connection))
    try:
        answer = session.expect_started(spec.name)
    except Unanswered:
        session = StreamSession(spawner.request_start(context.paths, request))
        answer = session.expect_started(spec.name)
    session.plain_binds = tuple(answer.get("plain_binds", ()))
    return session


def _await_ports(context: Context, spec: ContainerSpec, ports: tuple[Port, ...], session: StreamSession) -> None:
    """An ordinary user's ports are reachable a moment after a start. Raises Conflict for one that never is."""
    if not ports:
        return
    from pyctr_engine.containers import remove
    from pyctr_engine.network import uplink

    def lives() -> bool:
        return status.is_alive(context.paths, spec.id)

    missing = uplink.unreachable(ports, lives)
    if missing and all(port.protocol == "udp" for port in missing) and not _others_on_network(context, spec):
        uplink.renew()
        missing = uplink.unreachable(ports, lives)
    if missing:
        session.close()
        remove.send_signal(context, spec, signal.SIGKILL, "kill")
        if missing[0].protocol == "udp":
            raise Unsupported(
                f"UDP port {missing[0].host_port} could not be led to {spec.name}",
                "pasta of 2023 (Debian 12) sees new UDP ports only while no other container is on the network:"
                " stop the others and start this one first, or install a newer passt",
            )
        from pyctr_engine.house import obstacles

        if obstacles.pasta_is_blind():
            raise Unsupported(
                f"port {missing[0].host_port} could not be led to {spec.name}: AppArmor hides it from pasta",
                f"as root: {obstacles.SIGHT}; then stop this user's containers, and end pasta",
            )
        raise Conflict(
            f"port {missing[0].host_port}/{missing[0].protocol} could not be led to {spec.name}",
            "another program may have taken it meanwhile; is pasta at work? (`pyctr-tui doctor`)",
        )


def _others_on_network(context: Context, spec: ContainerSpec) -> bool:
    """Whether another container runs that would lose its connections with the uplink."""
    with context.lock:
        others = [other.id for other in store.all_specs(context.database) if other.address and other.id != spec.id]
    return any(status.is_alive(context.paths, id) for id in others)


def can_use_reserve(request: ContainerRequest) -> bool:
    """Whether it has the namespaces that the spawner's reserve is made with: a user and a network one of its own."""
    own = set(sharing.modes(request).values()) <= {"private", "shareable", "none", "bridge", "auto", "keep-id"}
    return own and not sharing.uses_host_ids(request)


def _wait_for_old_monitor(context: Context, spec: ContainerSpec) -> None:
    """The monitor of an earlier run may still be writing its last words."""
    deadline = time.monotonic() + 10.0
    while True:
        state = status.read_state(context.paths, spec.id)
        if not status.monitor_lives(state):
            return
        if State(state["state"]).is_alive or time.monotonic() > deadline:
            raise Conflict(
                f"container {spec.name} is running already", f"`pyctr-tui exec {spec.name} CMD` runs more in it"
            )
        time.sleep(0.002)


def _connected_network(context: Context, spec: ContainerSpec) -> tuple[Network | None, tuple[Port, ...]]:
    """As `_connect_network`; ports of a container whose start was killed are freed first."""
    try:
        return _connect_network(context, spec)
    except Conflict:
        from pyctr_engine.containers import remove

        remove.recover(context)
        return _connect_network(context, spec)


def _connect_network(context: Context, spec: ContainerSpec) -> tuple[Network | None, tuple[Port, ...]]:
    """The bridge is up, and the container's ports are published. Raises Conflict for a taken port."""
    if not spec.address:
        return None, ()
    from pyctr_engine.network import bridge, firewall, uplink
    from pyctr_engine.network import ports as published

    uplink.require(publishing=bool(spec.request.ports))
    with context.lock:
        network = context.networks.default()
        ports: tuple[Port, ...] = ()
        if spec.request.ports:
            with context.database.transaction() as connection:
                ports = published.allocate(connection, spec.id, spec.request.ports)
        bridge.ensure(network, context.networks.published(network))
        if ports:
            firewall.publish(network, spec.address.split("/")[0], ports)
    return network, ports


def disconnect_network(context: Context, spec: ContainerSpec) -> None:
    """Take the published ports back; the address stays leased until the container is removed."""
    if not spec.address or not spec.request.ports:
        return
    from pyctr_engine.network import firewall
    from pyctr_engine.network import ports as published

    with context.lock:
        held = published.allocated(context.database.connection, spec.id)
        if not held:
            return
        network = context.networks.default()
        firewall.unpublish(network, spec.address.split("/")[0], held)
        with context.database.transaction() as connection:
            published.release(connection, spec.id)


def build_request(
    context: Context, spec: ContainerSpec, network: Network | None, ports: tuple[Port, ...], attach: bool
) -> protocol.StartRequest:
    """Everything that the monitor and init need, as plain values."""
    paths, asked = context.paths, spec.request
    stack = snapshots.read(paths.container(spec.id))
    kept = resolve.capabilities(asked, capabilities.DEFAULT)
    shown = confinement.devices(asked)
    rules = confinement.device_rules(spec, shown)
    masked, protected = confinement.hidden_paths(asked.security)
    made = sharing.flags(spec)
    ids, gids = ([[one.container, one.host, one.count] for one in extents] for extents in (spec.ids, spec.gids))
    hosts.write_files(context, spec, trees.outside(0, ids), trees.outside(0, gids or ids))
    net = "private" if made & namespaces.CLONE_NEWNET else "host" if asked.network == "host" else "join"
    ipc = asked.namespaces.ipc
    return protocol.StartRequest(
        id=spec.id,
        name=spec.name,
        run_dir=paths.run_container(spec.id),
        state_dir=paths.container(spec.id),
        events_dir=paths.events,
        layers=paths.layers,
        lowers=[*(os.path.basename(link) for link in spec.chain), stub.link(spec)],
        uppers=[stack.upper, *stack.deltas],
        argv=list(spec.argv),
        env=list(spec.env),
        cwd=spec.working_dir,
        user=spec.user,
        hostname=_names_of(context, spec).hostname,
        domainname=asked.domainname,
        tty=asked.tty,
        stdin=asked.stdin_open,
        ids=ids,
        gids=gids,
        groups=list(asked.group_add),
        new=made,
        joins=sharing.joins(context, spec),
        net=net,
        network=_interface(spec, network, ports),
        cgroup=_cgroup(context, spec.id, asked, rules),
        binds=_binds(context, spec),
        tmpfs=[
            protocol.Tmpfs(mount.target, mount.size, mount.mode, mount.read_only, mount.executable)
            for mount in spec.mounts
            if mount.type == "tmpfs"
        ],
        devices=[protocol.DeviceNode(device.source, device.target) for device in shown],
        device_rules=None if rules is None else [[one.kind, one.major, one.minor, one.access] for one in rules],
        capabilities=capabilities.mask(kept),
        seccomp=_filter(context, asked, kept),
        no_new_privs=bool(asked.security.no_new_privileges),
        apparmor=apparmor.profile_for(asked.security),
        privileged=asked.security.privileged,
        read_only=asked.security.read_only,
        masked=masked,
        protected=protected,
        cgroupns=asked.namespaces.cgroup == "private",
        clocks=sharing.offsets(asked.namespaces),
        umask=0o022 if asked.security.umask is None else asked.security.umask,
        oom_score_adj=asked.security.oom_score_adj,
        init=asked.init,
        shm={"none": "none", "host": "none"}.get(ipc, "join" if ipc.startswith("container:") else "own"),
        shm_size=asked.shm_size,
        rlimits=_rlimits(spec),
        sysctls=_sysctls(spec, net),
        log=[asked.logging.max_size, asked.logging.max_files, asked.logging.rate],
        restart=[asked.restart.name, asked.restart.max_retries],
        health=_health(spec),
        limits=limits_in_history(resolve.kept_limits(context, asked.resources)),
        reap=_reaper(context, spec) if asked.auto_remove else [],
        attach=attach,
    )


def _filter(context: Context, asked: ContainerRequest, kept: frozenset[str]) -> str:
    """The compiled system call filter, base64; empty for none."""
    profile = asked.security.seccomp
    if asked.security.privileged or profile == seccomp.UNCONFINED:
        return ""
    return base64.b64encode(seccomp.program(context.paths.cache, profile, kept)).decode()


def _health(spec: ContainerSpec) -> list[Any] | None:
    """The check as the monitor takes it: a command line, a shell's where the test is one's."""
    check = spec.health
    if check is None:
        return None
    kind, *words = check.test
    argv = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
    return [argv, check.interval, check.timeout, check.retries, check.start_period, check.start_interval]


def limits_in_history(resources: Resources) -> list[float]:
    """CPUs, bytes of memory, processes; 0 for no limit."""
    return [resources.cpu_limit or 0.0, resources.memory or 0, max(0, resources.pids or 0)]


def _interface(spec: ContainerSpec, network: Network | None, ports: tuple[Port, ...]) -> protocol.Network | None:
    if network is None:
        return None
    house = current_house()
    return protocol.Network(
        bridge=network.bridge,
        interface=rtnetlink.unique_name(spec.id),
        address=spec.address,
        gateway=network.gateway,
        ports=[[port.protocol, port.host_ip, port.host_port] for port in ports],
        unpublish=_unpublishing(spec, network, ports),
        namespace=house.network if house else "",
    )


def _unpublishing(spec: ContainerSpec, network: Network, ports: tuple[Port, ...]) -> list[str]:
    if not ports:
        return []
    from pyctr_engine.network import firewall

    return [firewall.unpublish_text(network.bridge, spec.address.split("/")[0], port) for port in ports]


def _cgroup(context: Context, id: str, request: ContainerRequest, rules: list[DeviceRule] | None) -> protocol.Cgroup:
    here = context.cgroups
    plan = here.plan(context.cgroup_parent, id, resolve.kept_limits(context, request.resources)).as_json()
    if rules is not None and not here.unified:
        base = here.v1.get("devices")
        if base is None:
            raise Unsupported(
                "the container can't be kept to its devices: this host has no devices controller",
                "mount it, or run the container in a user namespace or with --privileged",
            )
        own = f"{base}/{context.cgroup_parent}/containers/{id}"
        if own not in plan["directories"]:
            between = (f"{base}/{context.cgroup_parent}", f"{base}/{context.cgroup_parent}/containers")
            plan["parents"] += tuple((path, ()) for path in between)
            plan["directories"] += (own,)
            plan["attach"] += (f"{own}/cgroup.procs",)
        values = device_rules.settings([[one.kind, one.major, one.minor, one.access] for one in rules])
        plan["settings"] += tuple((f"{own}/{name}", value) for name, value in values)
    return protocol.Cgroup(mode=here.mode, **plan)


def _binds(context: Context, spec: ContainerSpec) -> list[protocol.Bind]:
    asked = spec.request
    run = context.paths.run_container(_names_of(context, spec).id)
    own = {mount.target for mount in spec.mounts}
    strict = settings.read().unmappable_binds == "refuse"
    binds = [
        protocol.Bind(f"{run}/{name}", f"/etc/{name}", idmap=False, recursive=False)
        for name in ("hosts", "resolv.conf", "hostname")
        if f"/etc/{name}" not in own
    ]
    for mount in spec.mounts:
        if mount.type == "bind":
            # In the host's user namespace root inside is root: what keeps it from the disks in a bound /dev is this.
            devices = bool(spec.ids) or asked.security.privileged or _is_harmless(mount.source)
            binds.append(
                protocol.Bind(
                    mount.source,
                    mount.target,
                    mount.read_only,
                    devices=devices,
                    strict=strict,
                    propagation=mount.propagation,
                )
            )
        elif mount.type == "volume":
            source = f"{context.paths.volumes}/{mount.source}/_data"
            binds.append(protocol.Bind(source, mount.target, mount.read_only, recursive=False))
    if asked.namespaces.ipc == "host":
        binds.append(protocol.Bind("/dev/shm", "/dev/shm", idmap=False, recursive=False))
    return binds


def _names_of(context: Context, spec: ContainerSpec) -> ContainerSpec:
    """The container whose names this one goes by: who shares another's network shares its names too."""
    wanted = spec.request.network
    return (
        store.find(context.database, wanted.removeprefix("container:")) if wanted.startswith("container:") else spec
    )


def _is_harmless(path: str) -> bool:
    """Whether it is one of the device nodes that every container has: people bind /dev/null over files."""
    import stat

    from pyctr_engine.runtime.rootfs import DEVICES

    try:
        found = os.stat(path)
    except OSError:
        return False  # the start will say what is wrong with it
    return stat.S_ISCHR(found.st_mode) and found.st_rdev in {os.stat(f"/dev/{name}").st_rdev for name in DEVICES}


def _rlimits(spec: ContainerSpec) -> list[list[int]]:
    """(resource, soft, hard), -1 for unlimited; one that can't be raised so far is refused at the start."""
    found = []
    for name, (soft, hard) in spec.request.ulimits.items():
        which = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if which is None:
            raise InvalidValue(f"no such ulimit: {name}", "nofile, nproc, core, memlock, stack, … (see ulimit(1))")
        found.append([which, soft, hard])
    return found


def _sysctls(spec: ContainerSpec, net: str) -> list[list[str]]:
    values: dict[str, str] = {}
    if net == "private":
        values["net.ipv4.ip_unprivileged_port_start"] = "0"
        values["net.ipv4.ping_group_range"] = f"0 {_last_group(spec)}"
    values.update(spec.request.sysctls)
    return [[name, value] for name, value in values.items()]


def _last_group(spec: ContainerSpec) -> int:
    """The highest id that ping_group_range takes: the whole range must be mapped in the container's namespace."""
    groups = spec.gids or spec.ids
    if groups:
        return min(65535, max(extent.container + extent.count for extent in groups if extent.container < 65536) - 1)
    if current_house() is None:
        return 2147483647
    from pyctr_engine.house import ids

    return sum(ids.available()[-1]) - 1


def _reaper(context: Context, spec: ContainerSpec) -> list[str]:
    """What the monitor of a ``--rm`` container becomes at its end, so that it goes even when nobody looks."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.containers.remove import reap;"
        "reap(*sys.argv[2:5])"
    )
    return [sys.executable, "-I", "-S", "-c", program, root, context.paths.state, context.paths.run, spec.id]
