"""Starting: a spec becomes a start request, and the monitor's answer a running container."""

from __future__ import annotations

import base64
import os
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from pyctr_engine.containers import hosts, profile, resolve, spawner, status, store, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.session import StreamSession, Unanswered
from pyctr_engine.errors import Conflict, InvalidValue, from_os_error
from pyctr_engine.linux import capabilities, rtnetlink
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, Port, Resources
from pyctr_engine.model.status import State
from pyctr_engine.runtime import protocol
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
        session.expect_started(spec.name)
    except Unanswered:
        session = StreamSession(spawner.request_start(context.paths, request))
        session.expect_started(spec.name)
    return session


def can_use_reserve(request: ContainerRequest) -> bool:
    """Whether it has the namespaces that the spawner's reserve is made with: a user and a network one of its own."""
    return request.network in ("bridge", "none") and not resolve.uses_host_ids(request)


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
    from pyctr_engine.network import bridge, firewall
    from pyctr_engine.network import ports as published

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
    filtered = not asked.security.privileged and asked.security.seccomp != "unconfined"
    root_id = next((extent.host for extent in spec.ids if extent.container == 0), 0)
    hosts.write_files(context, spec, root_id)
    net, join = _shared_network(context, spec)
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
        tty=asked.tty,
        stdin=asked.stdin_open,
        ids=[[extent.container, extent.host, extent.count] for extent in spec.ids],
        net=net,
        join=join,
        network=_interface(spec, network, ports),
        cgroup=_cgroup(context, spec.id, asked),
        binds=_binds(context, spec),
        tmpfs=[
            protocol.Tmpfs(mount.target, mount.size, mount.mode, mount.read_only, mount.executable)
            for mount in spec.mounts
            if mount.type == "tmpfs"
        ],
        devices=[],
        capabilities=capabilities.mask(kept),
        seccomp=base64.b64encode(profile.program(paths.cache, kept)).decode() if filtered else "",
        no_new_privs=asked.security.no_new_privileges,
        privileged=asked.security.privileged,
        read_only=asked.security.read_only,
        init=asked.init,
        shm_size=asked.shm_size,
        rlimits=_rlimits(spec),
        sysctls=_sysctls(spec, net),
        log=[asked.logging.max_size, asked.logging.max_files, asked.logging.rate],
        restart=[asked.restart.name, asked.restart.max_retries],
        health=_health(spec),
        limits=limits_in_history(asked.resources),
        reap=_reaper(context, spec) if asked.auto_remove else [],
        attach=attach,
    )


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
    return [resources.cpus or 0.0, resources.memory or 0, max(0, resources.pids or 0)]


def _shared_network(context: Context, spec: ContainerSpec) -> tuple[str, protocol.Join | None]:
    wanted = spec.request.network
    if wanted == "host":
        return "host", None
    if not wanted.startswith("container:"):
        return "private", None
    other = store.find(context.database, wanted.removeprefix("container:"))
    state = status.read_state(context.paths, other.id)
    if status.status_of(state).state is not State.RUNNING:
        raise Conflict(
            f"cannot share the network of {other.name}: it is not running",
            f"start it: `pyctr-tui start {other.name}`",
        )
    return "join", protocol.Join(int(state["pid"]), int(state["pid_start"]))


def _interface(spec: ContainerSpec, network: Network | None, ports: tuple[Port, ...]) -> protocol.Network | None:
    if network is None:
        return None
    return protocol.Network(
        bridge=network.bridge,
        interface=rtnetlink.unique_name(spec.id),
        address=spec.address,
        gateway=network.gateway,
        ports=[[port.protocol, port.host_ip, port.host_port] for port in ports],
        unpublish=_unpublishing(spec, network, ports),
    )


def _unpublishing(spec: ContainerSpec, network: Network, ports: tuple[Port, ...]) -> list[str]:
    if not ports:
        return []
    from pyctr_engine.network import firewall

    return [firewall.unpublish_text(network.bridge, spec.address.split("/")[0], port) for port in ports]


def _cgroup(context: Context, id: str, request: ContainerRequest) -> protocol.Cgroup:
    plan = context.cgroups.plan(context.cgroup_parent, id, request.resources)
    return protocol.Cgroup(mode=context.cgroups.mode, **plan.as_json())


def _binds(context: Context, spec: ContainerSpec) -> list[protocol.Bind]:
    asked = spec.request
    run = context.paths.run_container(_names_of(context, spec).id)
    own = {mount.target for mount in spec.mounts}
    binds = [
        protocol.Bind(f"{run}/{name}", f"/etc/{name}", idmap=False, recursive=False)
        for name in ("hosts", "resolv.conf", "hostname")
        if f"/etc/{name}" not in own
    ]
    for mount in spec.mounts:
        if mount.type == "bind":
            # In the host's user namespace root inside is root: what keeps it from the disks in a bound /dev is this.
            devices = bool(spec.ids) or asked.security.privileged or _is_harmless(mount.source)
            binds.append(protocol.Bind(mount.source, mount.target, mount.read_only, devices=devices))
        elif mount.type == "volume":
            source = f"{context.paths.volumes}/{mount.source}/_data"
            binds.append(protocol.Bind(source, mount.target, mount.read_only, recursive=False))
    binds += [protocol.Bind(device.source, device.target, idmap=False, recursive=False) for device in asked.devices]
    if asked.security.privileged:
        binds += [protocol.Bind(path, path, idmap=False, recursive=False) for path in _host_devices()]
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


def _host_devices() -> list[str]:
    """Every device node directly in /dev that a container doesn't have anyway."""
    import stat

    own = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
    found = []
    for entry in os.scandir("/dev"):
        mode = entry.stat(follow_symlinks=False).st_mode
        if entry.name not in own and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            found.append(entry.path)
    return sorted(found)


def _rlimits(spec: ContainerSpec) -> list[list[int]]:
    """(resource, soft, hard); without CAP_SYS_RESOURCE no hard limit can be raised, so they are capped at ours."""
    found = []
    for name, (soft, hard) in spec.request.ulimits.items():
        which = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if which is None:
            raise InvalidValue(f"no such ulimit: {name}", "nofile, nproc, core, memlock, stack, … (see ulimit(1))")
        found.append([which, soft, hard])
    return found


def _sysctls(spec: ContainerSpec, net: str) -> list[list[str]]:
    values = {}
    if net == "private":
        values["net.ipv4.ip_unprivileged_port_start"] = "0"
        values["net.ipv4.ping_group_range"] = "0 65535" if spec.ids else "0 2147483647"
    values.update(spec.request.sysctls)
    return [[name, value] for name, value in values.items()]


def _reaper(context: Context, spec: ContainerSpec) -> list[str]:
    """What the monitor of a ``--rm`` container becomes at its end, so that it goes even when nobody looks."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.containers.remove import reap;"
        "reap(*sys.argv[2:5])"
    )
    return [sys.executable, "-I", "-S", "-c", program, root, context.paths.state, context.paths.run, spec.id]
