"""Stack files as people write them, and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pyctr_engine.errors import InvalidStack
from pyctr_engine.model.spec import (
    ContainerRequest,
    Device,
    HealthCheck,
    Logging,
    Mount,
    Port,
    Resources,
    RestartPolicy,
)
from pyctr_engine.model.stack import Dependency, Service, Stack
from pyctr_engine.stacks.load import config, load
from pyctr_engine.stacks.render import render

GOOD = Path(__file__).parent / "good"
EXAMPLES = Path(__file__).parents[3] / "stacks"


def load_text(tmp_path: Path, text: str, **env: str) -> Stack:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    return load(str(file), name="test", env=env)


def request(tmp_path: Path, *lines: str, **env: str) -> ContainerRequest:
    text = "services:\n  web:\n    image: x\n" + "".join(f"    {line}\n" for line in lines) + "volumes: {cache: }\n"
    return load_text(tmp_path, text, **env).services[0].request


def by_name(stack: Stack) -> dict[str, Service]:
    return {service.name: service for service in stack.services}


def test_wordpress() -> None:
    stack = load(str(GOOD / "wordpress.yaml"), env={"MYSQL_PASSWORD": "secret"})
    assert (stack.name, stack.volumes) == ("good", ("good_db_data", "good_wp_data"))
    assert [service.name for service in stack.services] == ["db", "wordpress"]
    db, wordpress = (service.request for service in stack.services)
    assert db.command == ("--default-authentication-plugin=mysql_native_password",)
    assert db.env == (
        "MYSQL_ROOT_PASSWORD=somewordpress",
        "MYSQL_DATABASE=wordpress",
        "MYSQL_USER=wordpress",
        "MYSQL_PASSWORD=secret",
    )
    assert db.mounts == (Mount("volume", "good_db_data", "/var/lib/mysql"),)
    assert wordpress.mounts[1] == Mount(
        "bind", str(GOOD / "uploads.ini"), "/usr/local/etc/php/conf.d/uploads.ini", read_only=True, create=True
    )
    assert wordpress.ports == (Port(80, 80),)
    assert wordpress.restart == RestartPolicy("always")
    assert "WORDPRESS_CONFIG_EXTRA=define('WP_MEMORY_LIMIT', '256M');\n$table_prefix = 'wp_';\n" in wordpress.env
    assert stack.services[1].depends_on == (Dependency("db"),)
    assert stack.warnings == (f"{GOOD}/wordpress.yaml:1:1: version is obsolete and has no effect; leave it out",)


def test_monitoring() -> None:
    stack = load(str(GOOD / "monitoring.yaml"), env={})
    assert (stack.volumes, stack.external_volumes) == (("prometheus",), ("grafana_data",))
    assert stack.inactive == ("alerts",)
    services = by_name(stack)
    prometheus, grafana = services["prometheus"].request, services["grafana"].request
    assert services["prometheus"].container(1) == "prometheus"
    assert prometheus.security.read_only
    assert prometheus.security.cap_drop == ("ALL",)
    assert prometheus.security.no_new_privileges
    assert prometheus.ulimits == {"nproc": (65535, 65535), "nofile": (20000, 40000)}
    assert prometheus.mounts[1:] == (
        Mount("volume", "prometheus", "/prometheus"),
        Mount("tmpfs", "", "/tmp", size=64 << 20, mode=0o1777),
    )
    assert grafana.aliases == ("grafana", "dashboards")
    assert grafana.resources == Resources(memory=256 << 20, memory_reservation=64 << 20, cpus=0.5, pids=100)
    assert grafana.stop_grace == 90.0
    assert "GF_USERS_ALLOW_SIGN_UP=false" in grafana.env
    assert services["grafana"].depends_on == (Dependency("prometheus"),)
    assert services["nodeexporter"].request.network == "host"
    assert services["nodeexporter"].request.mounts == (Mount("bind", "/", "/host", read_only=True, create=True),)
    assert prometheus.logging == Logging(max_size=10 << 20)
    check = services["nodeexporter"].request.health
    assert check.test == ("CMD", "wget", "-q", "--spider", "http://localhost:9100")
    assert (check.interval, check.retries, check.timeout) == (30.0, 3, None)
    assert stack.warnings == ()


def test_a_web_application() -> None:
    stack = load(str(GOOD / "webapp.yaml"), env={})
    order = [service.name for service in stack.services]
    assert order.index("db") < order.index("migrate") < order.index("app") < order.index("proxy")
    services = by_name(stack)
    app = services["app"]
    assert app.replicas == 3
    assert app.request.entrypoint == ("/bin/sh", "-c")
    assert app.request.env == ("APP_ENV=production", "DATABASE_URL=postgres://app@db/app")
    assert app.request.resources == Resources(memory=1610612736, cpus=1.5)
    assert app.depends_on == (Dependency("db"), Dependency("migrate", "service_completed_successfully"))
    assert services["proxy"].request.ports == (
        Port(443, 8443, "127.0.0.1"),
        Port(80, 8000),
        Port(81, 8001),
        Port(82, 8002),
    )
    sidecar = services["sidecar"]
    assert sidecar.request.network == "container:good-proxy-1"
    assert sidecar.depends_on == (Dependency("proxy"),)
    assert sidecar.request.devices == (Device("/dev/net/tun", "/dev/net/tun"),)
    assert sidecar.request.security.cap_add == ("NET_ADMIN",)
    assert sidecar.request.extra_hosts == (("upstream", "10.1.2.3"), ("v6", "fe80::1"))
    assert services["db"].request.mounts[1] == Mount("volume", "", "/docker-entrypoint-initdb.d")
    assert services["db"].request.shm_size == 128 << 20


@pytest.mark.parametrize(
    "path", [*sorted(GOOD.glob("*.yaml")), *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda p: p.name
)
def test_config_loads_as_the_same_stack(path: Path, tmp_path: Path) -> None:
    stack = load(str(path), env={})
    written = tmp_path / "s.yaml"
    written.write_text(config(str(path), env={}))
    again = load(str(written), env={})
    assert replace(again, path=stack.path, warnings=stack.warnings, inactive=stack.inactive) == stack
    assert render(again) == render(stack)


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("command: echo 'a b' c", "command", ("echo", "a b", "c")),
        ("command: []", "command", ()),
        ("command:", "command", None),
        ("entrypoint: ''", "entrypoint", ()),
        ("command: [a, 5, 1.10, true]", "command", ("a", "5", "1.10", "true")),
        ("working_dir: /a/../b/", "working_dir", "/b"),
        ("user: 1000:1000", "user", "1000:1000"),
        ("tty: true", "tty", True),
        ("init: 'false'", "init", False),
        ("restart: no", "restart", RestartPolicy("no")),
        ("restart: on-failure:5", "restart", RestartPolicy("on-failure", 5)),
        (
            "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
            "restart",
            RestartPolicy("on-failure", 2),
        ),
        ("stop_signal: usr1", "stop_signal", "usr1"),
        ("stop_signal: SIGRTMIN+3", "stop_signal", "SIGRTMIN+3"),
        ("stop_grace_period: 1h0m0.5s", "stop_grace", 3600.5),
        ("stop_grace_period: 500ms", "stop_grace", 0.5),
        ("ports: [22:22]", "ports", (Port(22, 22),)),
        ("ports: [80]", "ports", (Port(80),)),
        ("ports: ['127.0.0.1::53/udp']", "ports", (Port(53, 0, "127.0.0.1", "udp"),)),
        ("ports: ['0.0.0.0:80:80']", "ports", (Port(80, 80),)),
        ("ports: ['3000-3002']", "ports", (Port(3000), Port(3001), Port(3002))),
        ("ports: [{target: 80}]", "ports", (Port(80),)),
        ("ports: [{target: 80, published: 81, host_ip: 1.2.3.4}]", "ports", (Port(80, 81, "1.2.3.4"),)),
        ("volumes: [/data]", "mounts", (Mount("volume", "", "/data"),)),
        ("volumes: [cache:/c:rw]", "mounts", (Mount("volume", "test_cache", "/c"),)),
        ("volumes: ['/a:/b:ro,z']", "mounts", (Mount("bind", "/a", "/b", read_only=True, create=True),)),
        ("volumes: ['/a:/b:rslave']", "mounts", (Mount("bind", "/a", "/b", create=True, propagation="rslave"),)),
        (
            "volumes: [{type: bind, source: /a, target: /b, bind: {propagation: rshared}}]",
            "mounts",
            (Mount("bind", "/a", "/b", create=True, propagation="rshared"),),
        ),
        ("volumes: [{type: tmpfs, target: /t}]", "mounts", (Mount("tmpfs", "", "/t"),)),
        ("volumes: [{target: //t/}]", "mounts", (Mount("volume", "", "/t"),)),
        (
            "tmpfs: [/run, '/tmp:size=1k,mode=700,ro']",
            "mounts",
            (Mount("tmpfs", "", "/run"), Mount("tmpfs", "", "/tmp", read_only=True, size=1024, mode=0o700)),
        ),
        ("devices: ['/dev/null:/dev/x:r']", "devices", (Device("/dev/null", "/dev/x", "r"),)),
        ("mem_limit: 64m", "resources", Resources(memory=64 << 20)),
        ("mem_limit: 1024", "resources", Resources(memory=1024)),
        ("mem_limit: 0", "resources", Resources()),
        ("memswap_limit: -1", "resources", Resources(memory_swap=-1)),
        ("cpus: '0.3'", "resources", Resources(cpus=0.3)),
        ("cpuset: 0,2-3", "resources", Resources(cpuset="0,2-3")),
        ("cpu_shares: 512", "resources", Resources(cpu_shares=512)),
        ("pids_limit: -1", "resources", Resources(pids=-1)),
        ("pids_limit: 0", "resources", Resources(pids=-1)),
        ("pids_limit: 50", "resources", Resources(pids=50)),
        ("shm_size: 2gb", "shm_size", 2 << 30),
        ("network_mode: none", "network", "none"),
        ("network_mode: container:other", "network", "container:other"),
        (
            "extra_hosts: {a: 10.0.0.1, b: ['10.0.0.2', '10.0.0.3']}",
            "extra_hosts",
            (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("b", "10.0.0.3")),
        ),
        ("extra_hosts: ['a:10.0.0.1']", "extra_hosts", (("a", "10.0.0.1"),)),
        ("sysctls: ['net.core.somaxconn=1024']", "sysctls", {"net.core.somaxconn": "1024"}),
        ("x-mine: {anything: [goes]}", "image", "x"),
    ],
)
def test_attributes(tmp_path: Path, line: str, field: str, expected: object) -> None:
    assert getattr(request(tmp_path, line), field) == expected


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir("/")
    found = request(tmp_path, "volumes: [./a:/a, ../b:/b, ~/c:/c, .:/d]").mounts
    assert [mount.source for mount in found] == [f"{tmp_path}/a", f"{tmp_path.parent}/b", "/home/me/c", str(tmp_path)]


def test_environment(tmp_path: Path) -> None:
    lines = ("environment:", "  A: 1.10", "  B:", "  C: ''", "  D: $X", "  MISSING:")
    assert request(tmp_path, *lines, B="from outside", X="=x=").env == ("A=1.10", "B=from outside", "C=", "D==x=")


def test_a_null_takes_a_variable_out_of_env_file(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\nB=2\n")
    assert request(tmp_path, "env_file: a.env", "environment: {A: }").env == ("B=2",)


def test_dotenv_beside_the_file_and_the_environment_over_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAG=file\nUSER_ID=file\n")
    found = request(tmp_path, "user: $USER_ID", "hostname: $TAG", USER_ID="shell")
    assert (found.user, found.hostname) == ("shell", "file")


def test_an_unset_variable_warns_once_and_says_where(tmp_path: Path) -> None:
    stack = load_text(tmp_path, "services:\n  web:\n    image: x\n    command: [$A]\n")
    assert stack.warnings == (f"{tmp_path}/s.yaml:4:15: the variable A is not set; it is taken as empty",)


def test_variables_in_x_sections_are_looked_up_where_they_are_used(tmp_path: Path) -> None:
    text = "x-unused: ${A:?}\nx-used: &u {user: $B}\nservices: {web: {<<: *u, image: x}}\n"
    assert load_text(tmp_path, text, B="me").services[0].request.user == "me"


@pytest.mark.parametrize(("word", "value"), [("yes", True), ("off", False), ("Y", True)])
def test_old_booleans_warn(tmp_path: Path, word: str, value: bool) -> None:
    stack = load_text(tmp_path, f"services:\n  web:\n    image: x\n    tty: {word}\n")
    assert stack.services[0].request.tty is value
    assert stack.warnings[0].endswith(f"4:10: tty: {word} is not a boolean in YAML 1.2; write {str(value).lower()}")


class TestNames:
    TEXT = "services: {web: {image: x}}\n"

    def test_the_directory_s(self, tmp_path: Path) -> None:
        directory = tmp_path / "_My Shop.2"
        directory.mkdir()
        (directory / "compose.yaml").write_text(self.TEXT)
        assert load(str(directory), env={}).name == "myshop2"

    def test_what_wins(self, tmp_path: Path) -> None:
        file = tmp_path / "s.yaml"
        file.write_text("name: ${KIND:-in}-file\n" + self.TEXT)
        assert load(str(file), env={}).name == "in-file"
        assert load(str(file), env={"COMPOSE_PROJECT_NAME": "env"}).name == "env"
        assert load(str(file), name="given", env={"COMPOSE_PROJECT_NAME": "env"}).name == "given"

    def test_the_name_is_a_variable(self, tmp_path: Path) -> None:
        text = "services: {web: {image: x, hostname: $COMPOSE_PROJECT_NAME}}\n"
        assert load_text(tmp_path, text).services[0].request.hostname == "test"


def test_profiles(tmp_path: Path) -> None:
    text = "services:\n  a: {image: x}\n  b: {image: x, profiles: [debug]}\n  c: {image: x, profiles: [test, ci]}\n"
    names = {
        profiles: [service.name for service in load_text(tmp_path, text, COMPOSE_PROFILES=profiles).services]
        for profiles in ("", "debug", "debug, ci", "*")
    }
    assert names == {"": ["a"], "debug": ["a", "b"], "debug, ci": ["a", "b", "c"], "*": ["a", "b", "c"]}


def test_labels(tmp_path: Path) -> None:
    text = (
        "services:\n  web: {image: x, labels: [a=b, c], volumes: ['d:/d', 'e:/e'], depends_on: [db]}\n"
        "  db: {image: x}\nvolumes: {d: , e: {external: true, name: mine}}\n"
    )
    assert by_name(load_text(tmp_path, text))["web"].request.labels == {
        "a": "b",
        "c": "",
        "pyctr.stack": "test",
        "pyctr.service": "web",
        "pyctr.volumes": "test_d",
        "pyctr.depends_on": "db",
        "com.docker.compose.project": "test",
        "com.docker.compose.service": "web",
    }


class TestConfigHash:
    def test_is_the_same_for_the_same_service(self, tmp_path: Path) -> None:
        one = request(tmp_path, "environment: {A: 1, B: 2}", "ports: ['80:80']")
        other = request(tmp_path, "ports: [{target: 80, published: 80}]", "environment: [B=2, A=1]", "x-note: new")
        assert one.config_hash == other.config_hash

    @pytest.mark.parametrize(
        "line",
        [
            "command: a",
            "environment: {A: 1}",
            "labels: [a]",
            "mem_limit: 5m",
            "restart: always",
            "tmpfs: [/x, '/y:size=1k,exec']",
            "init: true",
        ],
    )
    def test_differs_when_something_differs(self, tmp_path: Path, line: str) -> None:
        assert request(tmp_path).config_hash != request(tmp_path, line).config_hash

    def test_leaves_the_order_of_services_and_their_number_out(self, tmp_path: Path) -> None:
        assert request(tmp_path, "scale: 3", "depends_on: []").config_hash == request(tmp_path).config_hash


def test_networks_that_all_share_are_the_one_network(tmp_path: Path) -> None:
    text = (
        "services:\n  a: {image: x, networks: [n, m]}\n  b: {image: x, networks: [n]}\n"
        "  c: {image: x, network_mode: none}\nnetworks: {n: , m: {driver: bridge}}\n"
    )
    assert [service.request.network for service in load_text(tmp_path, text).services] == ["bridge", "bridge", "none"]


def test_a_build_next_to_an_image_warns(tmp_path: Path) -> None:
    stack = load_text(tmp_path, "services:\n  web:\n    image: x\n    build: .\n")
    assert stack.warnings == (f"{tmp_path}/s.yaml:4:12: build is not supported yet; the image has to be there",)


def test_a_long_chain_of_dependencies(tmp_path: Path) -> None:
    lines = [f"  s{n}: {{image: x, depends_on: [s{n + 1}]}}" for n in range(3000)]
    stack = load_text(tmp_path, "services:\n" + "\n".join(lines) + "\n  s3000: {image: x}\n")
    assert stack.services[0].name == "s3000"
    assert stack.services[-1].name == "s0"


@pytest.mark.parametrize(
    ("lines", "health"),
    [
        ("healthcheck: {test: curl -f localhost}", HealthCheck(("CMD-SHELL", "curl -f localhost"))),
        ("healthcheck: {test: [CMD, a, b], start_period: 1m, start_interval: 2s}",
         HealthCheck(("CMD", "a", "b"), start_period=60.0, start_interval=2.0)),
        ("healthcheck: {timeout: 500ms, retries: 0}", HealthCheck(timeout=0.5, retries=0)),
        ("healthcheck: {disable: true, test: x}", HealthCheck(("NONE",))),
        ("healthcheck: {test: [NONE]}", HealthCheck(("NONE",))),
    ],
)  # fmt: skip
def test_health_checks(tmp_path: Path, lines: str, health: HealthCheck) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"services:\n  a:\n    image: x\n    {lines}\n")
    (service,) = load(str(file), env={}).services
    assert service.request.health == health
    again = tmp_path / "again.yaml"
    again.write_text(config(str(file)))
    assert load(str(again), env={}).services[0].request.health == health


@pytest.mark.parametrize(
    ("lines", "logging", "warned"),
    [
        (
            "{driver: local, options: {max-size: 200k, max-file: '5', rate-limit: 100}}",
            Logging(200 << 10, 5, 100),
            "",
        ),
        ("{driver: none}", Logging(max_size=0), ""),
        ("{driver: syslog}", Logging(), "the log driver syslog is not here"),
        ("{options: {tag: x}}", Logging(), "tag has no effect"),
        ("{options: {maxsize: 1m}}", Logging(), "the option maxsize is not known"),
    ],
)
def test_logging(tmp_path: Path, lines: str, logging: Logging, warned: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"services:\n  a:\n    image: x\n    logging: {lines}\n")
    stack = load(str(file), env={})
    assert stack.services[0].request.logging == logging
    assert bool(warned) == bool(stack.warnings)
    assert all(warned in warning for warning in stack.warnings)
    again = tmp_path / "again.yaml"
    again.write_text(config(str(file)))
    assert load(str(again), env={}).services[0].request.logging == logging


def test_every_limit_of_the_specification(tmp_path: Path) -> None:
    lines = (
        "cpu_period: 50ms",
        "cpu_quota: 25000",
        "mem_limit: 64m",
        "mem_swappiness: 0",
        "oom_kill_disable: true",
        "blkio_config:",
        "  weight: 300",
        "  weight_device: [{path: /dev/sda, weight: 400}]",
        "  device_read_bps: [{path: /dev/sdb, rate: 12mb}]",
        "  device_write_iops: [{path: /dev/sdb, rate: 30}]",
    )
    found = request(tmp_path, *lines).resources
    assert found == Resources(
        memory=64 << 20,
        cpu_quota=25000,
        cpu_period=50000,
        memory_swappiness=0,
        oom_kill_disable=True,
        blkio_weight=300,
        blkio_weight_device=(("/dev/sda", 400),),
        device_read_bps=(("/dev/sdb", 12 << 20),),
        device_write_iops=(("/dev/sdb", 30),),
    )
    again = render(load_text(tmp_path, "services:\n  web:\n    image: x\n" + "".join(f"    {x}\n" for x in lines)))
    assert load_text(tmp_path, again).services[0].request.resources == found


def test_limits_that_are_off_are_none(tmp_path: Path) -> None:
    lines = ("cpu_quota: -1", "cpu_period: 0", "mem_swappiness: -1", "blkio_config: {weight: 0}")
    assert request(tmp_path, *lines).resources == Resources()
    assert not request(tmp_path, "oom_kill_disable: false").resources.oom_kill_disable


def test_what_is_being_written_is_checked_in_the_files_place(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "compose.yaml"
    stack = load(str(path), text="services: {web: {image: nginx}}", env={})
    assert (stack.name, stack.path, stack.services[0].name) == ("shop", str(path), "web")
    with pytest.raises(InvalidStack, match=r"compose.yaml:1:18: "):
        load(str(path), text="services: {web: {imge: nginx}}", env={})
