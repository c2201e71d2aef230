"""``run``'s options become the request that docker's users mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.model.spec import ContainerRequest, Device, Mount, Port, Resources, RestartPolicy
from pyctr_tui.cli import limits
from pyctr_tui.cli.options import Grammar, UsageError
from pyctr_tui.cli.request import LIMITS, OPTIONS, request

GRAMMAR = Grammar("run", "", "", *OPTIONS, least=1, most=None, interspersed=False)


def ask(line: str) -> ContainerRequest:
    return request(GRAMMAR.parse(line.split()))


def test_a_line_as_people_type_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "ours")
    found = ask("-it --rm -e A -e B=c -v /a:/b:ro -p 127.0.0.1:80:80/tcp img cmd -x")
    assert found == ContainerRequest(
        image="img",
        command=("cmd", "-x"),
        env=("A=ours", "B=c"),
        tty=True,
        stdin_open=True,
        mounts=(Mount("bind", "/a", "/b", read_only=True, create=True),),
        ports=(Port(80, 80, "127.0.0.1"),),
        auto_remove=True,
    )


def test_nothing_but_an_image_leaves_the_image_s_values() -> None:
    assert ask("img") == ContainerRequest(image="img")


def test_a_variable_we_lack_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert ask("-e NOT_THERE -e EMPTY= img").env == ("EMPTY=",)


def test_env_files_come_before_options(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1\n  B=two words # kept\n")
    assert ask(f"-e C=3 --env-file {file} img").env == ("A=1", "B=two words # kept", "C=3")


def test_an_env_file_s_mistake_is_found_by_line(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nB C=2\n")
    with pytest.raises(UsageError, match=rf"{file}:2: "):
        ask(f"--env-file {file} img")


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount("volume", "", "/data")),
        ("pg:/data", Mount("volume", "pg", "/data")),
        ("pg:/data:ro,z", Mount("volume", "pg", "/data", read_only=True)),
        ("/a:/b/", Mount("bind", "/a", "/b", create=True)),
        ("/:/host:ro", Mount("bind", "/", "/host", read_only=True, create=True)),
        ("/:/host:ro,rslave", Mount("bind", "/", "/host", read_only=True, create=True, propagation="rslave")),
    ],
)
def test_volumes(text: str, mount: Mount) -> None:
    assert ask(f"-v {text} img").mounts == (mount,)


def test_a_relative_source_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask("-v ./x:/x -v .:/here img").mounts == (
        Mount("bind", f"{tmp_path}/x", "/x", create=True),
        Mount("bind", str(tmp_path), "/here", create=True),
    )


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=bind,source=/a,target=/b,readonly", Mount("bind", "/a", "/b", read_only=True)),
        ("type=bind,src=/a,dst=/b,ro=false", Mount("bind", "/a", "/b")),
        ("type=bind,src=/a,dst=/b,bind-propagation=shared", Mount("bind", "/a", "/b", propagation="shared")),
        ("source=pg,destination=/b", Mount("volume", "pg", "/b")),
        ("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700", Mount("tmpfs", "", "/t", size=1 << 20, mode=0o700)),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert ask(f"--mount {text} img").mounts == (mount,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-v /a:/b:rslaves", "'/a:/b:rslaves' has the unknown option 'rslaves'"),
        ("-v pg:/b:rslave", "rslave is for directories of the host"),
        ("--mount type=bind,src=/a,dst=/b,bind-propagation=x", "has an unknown propagation"),
    ],
)
def test_what_cannot_be_mounted_so(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(f"{words} img")


def test_tmpfs() -> None:
    assert ask("--tmpfs /t:rw,noexec,size=64m,mode=755 img").mounts == (
        Mount("tmpfs", "", "/t", size=64 << 20, mode=0o755),
    )


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", (Port(80),)),
        ("8080:80", (Port(80, 8080),)),
        ("53:53/udp", (Port(53, 53, "", "udp"),)),
        ("127.0.0.1::80", (Port(80, 0, "127.0.0.1"),)),
        ("[::1]:8080:80", (Port(80, 8080, "::1"),)),
        ("8000-8001:80-81", (Port(80, 8000), Port(81, 8001))),
    ],
)
def test_ports(text: str, ports: tuple[Port, ...]) -> None:
    assert ask(f"-p {text} img").ports == ports


def test_limits() -> None:
    found = ask("-m 512m --memory-swap -1 --cpus 1.5 -c 512 --cpuset-cpus 0-1 --pids-limit 64 img").resources
    assert (found.memory, found.memory_swap, found.cpus) == (512 << 20, -1, 1.5)
    assert (found.cpu_shares, found.cpuset, found.pids) == (512, "0-1", 64)


def test_every_limit() -> None:
    found = ask(
        "--memory-high 100m --memory-swappiness 0 --oom-group --oom-kill-disable --cpu-quota 50000"
        " --cpu-period 200000 --cpu-burst 1000 --cpuset-mems 0 --blkio-weight 300 --blkio-weight-device /dev/a:20"
        " --device-read-bps /dev/a:1mb --device-read-bps /dev/b:2k --device-write-bps /dev/a:3"
        " --device-read-iops /dev/a:4 --device-write-iops /dev/a:5 --hugetlb 2MB=64m --hugetlb 1g=0 img"
    ).resources
    assert found == Resources(
        memory_high=100 << 20,
        memory_swappiness=0,
        oom_group=True,
        oom_kill_disable=True,
        cpu_quota=50000,
        cpu_period=200000,
        cpu_burst=1000,
        cpuset_mems="0",
        blkio_weight=300,
        blkio_weight_device=(("/dev/a", 20),),
        device_read_bps=(("/dev/a", 1 << 20), ("/dev/b", 2048)),
        device_write_bps=(("/dev/a", 3),),
        device_read_iops=(("/dev/a", 4),),
        device_write_iops=(("/dev/a", 5),),
        hugetlb=(("2MB", 64 << 20), ("1GB", 0)),
    )
    assert found.cpu_limit == 0.25


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ("--cpus 2", Resources(cpu_quota=5000, cpu_period=10000), Resources(cpus=2.0)),
        ("--cpu-quota 5000", Resources(cpus=2.0), Resources(cpu_quota=5000)),
        ("--cpu-quota -1", Resources(cpu_quota=5000, cpu_period=10000), Resources()),
        ("--cpus 0", Resources(cpus=2.0), Resources()),
        ("-m 128m", Resources(memory=64 << 20, memory_swap=96 << 20), Resources(memory=128 << 20)),
        ("-c 5", Resources(memory=64 << 20, memory_swap=96 << 20, pids=7),
         Resources(memory=64 << 20, memory_swap=96 << 20, pids=7, cpu_shares=5)),
        ("--memory-swappiness -1", Resources(memory_swappiness=3), Resources()),
        ("--oom-kill-disable=false", Resources(oom_kill_disable=True), Resources()),
        ("--device-read-bps /dev/a:0 --device-read-bps /dev/b:7",
         Resources(device_read_bps=(("/dev/a", 1), ("/dev/b", 2), ("/dev/c", 3))),
         Resources(device_read_bps=(("/dev/b", 7), ("/dev/c", 3)))),
        ("--hugetlb 2MB=", Resources(hugetlb=(("2MB", 5), ("1GB", 6))), Resources(hugetlb=(("1GB", 6),))),
    ],
)  # fmt: skip
def test_an_update_changes_what_is_given_and_nothing_else(options: str, before: Resources, after: Resources) -> None:
    assert (
        limits.changed(Grammar("update", "", "", *LIMITS, most=None).parse([*options.split(), "c"]), before) == after
    )


def test_zero_and_minus_one_mean_no_limit() -> None:
    found = ask("-m 0 --cpus 0 --pids-limit -1 img").resources
    assert (found.memory, found.cpus, found.pids) == (None, None, -1)


def test_security() -> None:
    found = ask(
        "--cap-add CAP_SYS_PTRACE --cap-drop all --security-opt no-new-privileges:true --read-only img"
    ).security
    assert found.cap_add == ("SYS_PTRACE",)
    assert found.cap_drop == ("ALL",)
    assert found.no_new_privileges
    assert found.read_only
    assert ask("--security-opt seccomp=unconfined --userns host img").security.seccomp == "unconfined"


def test_the_rest() -> None:
    found = ask(
        "--entrypoint /bin/sh --device /dev/fuse --device /dev/null:/dev/x:r --ulimit nofile=1:2 "
        "--restart on-failure:3 --add-host db:10.0.0.7 --add-host v6=::1 -l a=b -l c"
        " --stop-timeout 3 --net host --shm-size 1g img -c ls"
    )
    assert found.entrypoint == ("/bin/sh",)
    assert found.command == ("-c", "ls")
    assert found.devices == (Device("/dev/fuse", "/dev/fuse"), Device("/dev/null", "/dev/x", "r"))
    assert found.restart == RestartPolicy("on-failure", 3)
    assert found.ulimits == {"nofile": (1, 2)}
    assert found.extra_hosts == (("db", "10.0.0.7"), ("v6", "::1"))
    assert found.labels == {"a": "b", "c": ""}
    assert (found.stop_grace, found.network, found.shm_size) == (3.0, "host", 1 << 30)


def test_an_empty_entrypoint_clears_the_image_s() -> None:
    assert ask("--entrypoint= img sh").entrypoint == ()


@pytest.mark.parametrize(
    "options",
    [
        "-v a:b:c:d", "-v :/x", "-v a:relative", "-v a:/b:shiny", "--mount type=npipe,target=/x",
        "--mount type=bind,source=rel,target=/x", "--mount target=/x,shiny=1", "--tmpfs rel", "--tmpfs /x:suid",
        "-p 0", "-p 70000", "-p a:80", "-p 80/sctp", "-p 1-2:80", "-m lots", "-m 1x", "--cpus -1", "--cpus nan",
        "--pids-limit few", "--device fuse", "--ulimit nofile", "--restart sometimes", "--restart always:3",
        "--security-opt shiny", "--timens private,x=1", "--umask 9", "--device-cgroup-rule c",
        "--net shiny", "--pull sometimes", "--rm --restart always",
        "--add-host db", "-l =x", "--device-read-bps sda:1m", "--device-read-bps /dev/sda", "--hugetlb 64m",
        "--blkio-weight much", "--device-read-iops /dev/sda:1m", "-e =x", "--stop-timeout soon",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_125(options: str) -> None:
    with pytest.raises(UsageError) as raised:
        ask(f"{options} img")
    assert raised.value.exit_code == 125
