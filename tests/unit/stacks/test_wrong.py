"""Stacks that can't be: the exact sentence, its place, and where it helps, the hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.errors import InvalidStack, InvalidValue, NotFound
from pyctr_engine.stacks.load import load

SERVICE = "services:\n  web:\n    image: x\n"
"""Three good lines; what a case adds begins on line 4."""

ATTRIBUTES = [
    ("imagee: y", "4:5: a service has no attribute imagee", "did you mean image?"),
    ("port: ['80']", "4:5: a service has no attribute port", "did you mean ports?"),
    ("qqq: 1", "4:5: a service has no attribute qqq", "names of your own begin with x-"),
    ("dns: 1.1.1.1", "4:5: dns of a service is not supported yet", "leave it out"),
    ("secrets: [a]", "4:5: secrets of a service is not supported yet", "leave it out"),
    ("pid: shiny", "4:10: there is no pid namespace 'shiny'", "private, host"),
    (
        "cpu_count: 2",
        "4:16: cpu_count and cpu_percent are for Windows' containers",
        "cpus: 1.5 limits CPU time here",
    ),
    ("mem_swappiness: 101", "4:21: mem_swappiness must be at most 100, not 101", ""),
    ("blkio_config: {wait: 1}", "4:20: blkio_config has no attribute wait", "did you mean weight?"),
    ("blkio_config: {device_read_bps: [{path: /dev/a}]}", "4:38: device_read_bps needs path and rate", ""),
    ("command: {a: b}", "4:14: command must be a list, not a mapping", "each item begins with a dash"),
    ("command: [a, [b]]", "4:18: an item of command must be a string, not a list", ""),
    ("command: [a, ~]", "4:18: an item of command must be a string, not nothing", ""),
    ("command: echo 'x", "4:14: command can't be split into words: no closing quotation", ""),
    ("environment: [=x]", "4:19: an environment variable without a name", ""),
    ("environment: {A=B: c}", '4:19: an environment variable can\'t be named "A=B"', ""),
    ("environment: [A=1, A=2]", "4:24: environment variable A is given twice", "keep one of them"),
    ("environment: {A: [1]}", "4:22: environment variable A must be a string, not a list", ""),
    ("environment: A=1", '4:18: environment must be a list, not "A=1"', "each item begins with a dash"),
    ("env_file: none.env", "4:15: no such file: {dir}/none.env", "`required: false` lets it be absent"),
    ("env_file: [{required: true}]", "4:16: an env_file needs a path", ""),
    ("working_dir: app", "4:18: working_dir must be an absolute path, not app", ""),
    ("user:", "4:10: user must be a string, not nothing", ""),
    ("tty: 5", '4:10: tty must be true or false, not "5"', ""),
    ("restart: allways", '4:14: restart can\'t be "allways"', "did you mean always?"),
    ("restart: on-failure:x", '4:14: restart: the number of retries can\'t be "x"', "for example on-failure:3"),
    ("stop_signal: SIGTREM", "4:18: there is no signal SIGTREM", "did you mean SIGTERM?"),
    ("stop_signal: 99", "4:18: stop_signal must be at most 64, not 99", ""),
    ("stop_grace_period: 10", '4:24: stop_grace_period must be a duration, not "10"', "write 10s"),
    ("stop_grace_period: 1m30", '4:24: stop_grace_period must be a duration, not "1m30"', "for example 10s or 1m30s"),
    ("labels: {pyctr.stack: x}", "4:14: the label pyctr.stack is the engine's own", "choose another name"),
    ("container_name: a/b", '4:21: container_name can\'t be "a/b"', ""),
    ("hostname: a b", '4:15: hostname can\'t be "a b"', ""),
    # ports
    ("ports: 80", '4:12: ports must be a list, not "80"', "each item begins with a dash"),
    ("ports: [http]", '4:13: "http" is not a port', 'for example "8080:80" or "127.0.0.1:8080:80/udp"'),
    ("ports: ['80:']", '4:13: "80:" is not a port', ""),
    ("ports: [70000]", "4:13: a port is between 1 and 65535, not 70000", ""),
    ("ports: ['0']", "4:13: a port is between 1 and 65535, not 0", ""),
    ("ports: ['80/tpc']", '4:13: there is no protocol "tpc"', "tcp or udp"),
    ("ports: ['80/']", '4:13: there is no protocol ""', "tcp or udp"),
    ("ports: ['80/sctp']", "4:13: sctp is not supported yet", "tcp and udp are"),
    ("ports: ['300.1.1.1:80:80']", '4:13: "300.1.1.1" is not an IP address', ""),
    ("ports: ['[::1]:80:80']", "4:13: publishing on IPv6 addresses is not supported yet", ""),
    ("ports: ['8000-8002:80']", "4:13: 3 host ports can't be matched with 1 container ports", ""),
    ("ports: ['8002-8000:80-82']", "4:13: the range 8002-8000 ends before it begins", ""),
    ("ports: ['80:80', '80:80/tcp']", "4:22: port 80 is published twice in the same way", "keep one"),
    ("ports: [{published: 80}]", "4:13: a port needs a target", "the port inside the container"),
    ("ports: [{target: 80, publish: 8}]", "4:26: a port has no attribute publish", "did you mean published?"),
    (
        "ports: [{target: 80, published: 8000-8001}]",
        "4:37: a range of published ports for one target is not supported yet",
        "",
    ),
    ("expose: [x]", '4:14: "x" is not a port', ""),
    # volumes
    (
        "volumes: [data:/data]",
        "4:15: no volume data is declared",
        "declare it under the top-level volumes:, or write ",
    ),
    ("volumes: [cahce:/c]\nvolumes: {cache: }", "4:15: no volume cahce is declared", "did you mean cache?"),
    (
        "volumes: [data/x:/data]",
        "4:15: data/x can't be a volume's name",
        "a path relative to the file begins with ./",
    ),
    ("volumes: ['./a:b']", "4:15: the path inside the container must be absolute, not b", ""),
    ("volumes: ['./a:/']", "4:15: nothing can be mounted on the container's root", ""),
    ("volumes: ['./a:/x/..']", "4:15: nothing can be mounted on the container's root", ""),
    ("volumes: ['./a:/b:rp']", "4:15: the volume option rp is not supported yet", "ro, rw and rslave"),
    ("volumes: ['d:/b:rslave']\nvolumes: {d: }", "4:15: rslave is for directories of the host", "leave it out"),
    (
        "volumes: [{type: bind, source: /a, target: /b, bind: {propagation: up}}]",
        '4:72: "up" is no propagation',
        "private",
    ),
    ("volumes: ['a:b:c:d']", '4:15: "a:b:c:d" is not a volume', ""),
    ("volumes: ['./a:/x', './b:/x/']", "4:25: something is mounted on /x already", ""),
    ("volumes: ['./a:/x']\n    tmpfs: /x", "5:12: something is mounted on /x already", ""),
    ("volumes: [{type: bnd, target: /x}]", '4:22: type can\'t be "bnd"', "did you mean bind?"),
    ("volumes: [{type: bind, target: /x}]", "4:15: a bind needs a source", "a path on the host"),
    ("volumes: [{type: npipe, target: /x}]", "4:22: volumes of type npipe are not supported yet", ""),
    ("volumes: [{type: bind, source: /a}]", "4:15: a volume needs a target", "the path inside the container"),
    ("volumes: [{type: tmpfs, target: /x, bind: {}}]", "4:47: bind options on a volume of type tmpfs", ""),
    ("volumes: [{target: /x, volume: {subpath: a}}]", "4:37: subpath of volume is not supported yet", ""),
    ("tmpfs: run", "4:12: the path inside the container must be absolute, not run", ""),
    ("tmpfs: /run:size=many", '4:12: size must be a size, not "many"', "for example 64m or 1.5gb"),
    ("tmpfs: /run:mode=9", '4:12: a mode is octal, not "9"', "for example 1777"),
    ("tmpfs: /run:suid", "4:12: the tmpfs option suid is not supported", "size=, mode=, ro, rw and exec are"),
    ("devices: [ttyS0]", "4:15: a device is source[:target[:permissions]]", "for example /dev/fuse"),
    ("devices: ['/dev/a:/dev/b:rx']", "4:15: a device's permissions can't be \"rx\"", "letters out of rwm"),
    ("devices: ['vendor.com/gpu=0']", "4:15: CDI devices are not supported yet", ""),
    # limits
    ("mem_limit: lots", '4:16: mem_limit must be a size, not "lots"', "for example 64m or 1.5gb"),
    ("mem_limit: -5", '4:16: mem_limit must be a size, not "-5"', ""),
    ("mem_limit: 99999999999t", "4:16: mem_limit is larger than a machine can have", ""),
    ("cpus: half", '4:11: cpus must be a number, not "half"', "for example 0.5"),
    ("cpus: -1", "4:11: cpus can't be negative", ""),
    ("cpus: .inf", '4:11: cpus must be a number, not ".inf"', ""),
    ("cpus: 1e999", '4:11: cpus must be a number, not "1e999"', ""),
    ("cpuset: 0-", '4:13: cpuset can\'t be "0-"', "for example 0-1,3"),
    ("pids_limit: 1.5", '4:17: pids_limit must be a whole number, not "1.5"', ""),
    (
        "mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}",
        "5:43: deploy.resources.limits.memory differs from mem_limit, which says 1073741824",
        "keep one of them",
    ),
    ("scale: 2\n    deploy: {replicas: 3}", "5:24: deploy.replicas differs from scale, which says 2", ""),
    ("deploy: {replica: 3}", "4:14: deploy has no attribute replica", "did you mean replicas?"),
    ("deploy: {mode: global}", "4:20: only the mode replicated is supported", ""),
    ("deploy: {resources: {limits: {memry: 2g}}}", "4:35: limits has no attribute memry", "did you mean memory?"),
    ("ulimits: {nofiles: 5}", "4:15: there is no limit nofiles", "did you mean nofile?"),
    ("ulimits: {nofile: {soft: 5}}", "4:23: ulimit nofile needs soft and hard", ""),
    ("ulimits: {nofile: {soft: 5, hard: 4}}", "4:23: ulimit nofile: soft is above hard", ""),
    ("scale: 2\n    container_name: one", "5:21: 2 replicas can't all be named one", "leave container_name out"),
    ("scale: 2\n    ports: ['80:80']", "5:12: 2 replicas can't all publish port 80", ""),
    # security
    ("cap_add: [NET_ADMN]", "4:15: there is no capability NET_ADMN", "did you mean NET_ADMIN?"),
    ("security_opt: ['shiny:mine']", "4:20: the security option 'shiny:mine' is unknown", "options: no-new"),
    ("sysctls: [net.core.somaxconn]", "4:15: sysctl net.core.somaxconn has no value", ""),
    ("userns_mode: shiny", "4:18: there is no user namespace 'shiny'", "auto, host, keep-id"),
    # networks
    ("network_mode: briddge", '4:19: network_mode can\'t be "briddge"', ""),
    ("network_mode: host\n    networks: [a]", "4:19: network_mode and networks exclude each other", ""),
    ("networks: [front]", "4:16: no network front is declared", "declare it in networks:"),
    ("networks: [frnt]\nnetworks: {front: }", "4:16: no network frnt is declared", "did you mean front?"),
    (
        "networks: {default: {ipv4_address: 10.0.0.2}}",
        "4:26: ipv4_address of network default is not supported yet",
        "",
    ),
    ("network_mode: service:db", "4:19: web depends on db, which is not a service here", ""),
    ("extra_hosts: ['a']", '4:19: "a" is not name=address', ""),
    ("extra_hosts: ['a:b']", '4:19: "b" is not an IP address', ""),
    ("extra_hosts: ['a:host-gateway']", "4:19: host-gateway is not supported yet", ""),
    ("links: ['db:database']", "4:13: a link under another name is not supported yet", ""),
    # depends_on
    ("depends_on: [db]", "4:18: web depends on db, which is not a service here", ""),
    (
        "depends_on: [wbe]\n  web2: {image: x}",
        "4:18: web depends on wbe, which is not a service here",
        "did you mean web?",
    ),
    ("depends_on: [web]", "4:18: web depends on itself", ""),
    ("depends_on: {db: {condition: healthy}}", '4:34: condition can\'t be "healthy"', ""),
    ("depends_on: {db: {condition: service_healthy}}", "4:18: web depends on db, which is not a service here", ""),
    ("healthcheck: {test: [CMD]}", "4:25: a test that begins with CMD goes on with what to run", ""),
    ("logging: {options: {max-file: x}}", '4:35: max-file must be a whole number, not "x"', ""),
    (
        "depends_on: [db]\n  db: {image: x, depends_on: [web]}",
        "4:18: services depend on each other in a circle: web → db → web",
        "break it somewhere",
    ),
    (
        "depends_on: [db]\n  db: {image: x, profiles: [debug]}",
        "4:18: web depends on db, whose profile is not active",
        "set COMPOSE_PROFILES=debug",
    ),
    ("healthcheck: {test: [curl]}", "4:25: a test begins with CMD, CMD-SHELL or NONE", ""),
    ("healthcheck: {intervall: 5s}", "4:19: healthcheck has no attribute intervall", "did you mean interval?"),
    ("healthcheck: {interval: 5}", '4:29: interval must be a duration, not "5"', "write 5s"),
    # variables
    ("command: $(date)", "4:14: a $ has no variable's name after it", "write $$ for a dollar sign"),
    ("user: ${WHO:?who runs it}", "4:11: WHO must be set: who runs it", "set it in the environment or in the .env "),
]

FILES = [
    ("services:\n", "1:1: there are no services"),
    ("name: x\n", "1:1: there are no services"),
    ("services: []\n", "1:11: services must be a mapping, not a list"),
    ("services: {web: 5}\n", '1:17: the service web must be a mapping, not "5"'),
    ("services: {web: }\n", "1:12: the service web has no image"),
    ("services: {web: {command: x}}\n", "1:12: the service web has no image"),
    ("services: {web: {build: .}}\n", "1:25: build is not supported yet"),
    ("services: {'a b': {image: x}}\n", '1:12: a service can\'t be named "a b"'),
    ("service: {}\n" + SERVICE, "1:1: a stack file has no attribute service"),
    ("name: Web\n" + SERVICE, "1:7: a stack's name can't be \"Web\""),
    ("name: ${N:?}\n" + SERVICE, "1:7: N must be set"),
    ("secrets: {a: {file: b}}\n" + SERVICE, "1:1: secrets are not supported yet"),
    ("configs: {a: {file: b}}\n" + SERVICE, "1:1: configs are not supported yet"),
    ("include: [other.yaml]\n" + SERVICE, "1:1: include is not supported yet"),
    ("volumes: {a: {driver: nfs}}\n" + SERVICE, "1:23: volume drivers other than local are not supported yet"),
    ("volumes: {a: {driver_opts: {o: x}}}\n" + SERVICE, "1:28: driver_opts of a volume are not supported yet"),
    ("volumes: {a: {name: ../x}}\n" + SERVICE, "1:21: ../x can't be a volume's name"),
    ("volumes: {a: {extern: true}}\n" + SERVICE, "1:15: a volume has no attribute extern"),
    ("networks: {a: {external: true}}\n" + SERVICE, "1:26: external networks are not supported yet"),
    ("networks: {a: {internal: true}}\n" + SERVICE, "1:26: internal networks are not supported yet"),
    ("networks: {a: {driver: macvlan}}\n" + SERVICE, "1:24: network drivers other than bridge are not supported yet"),
    ("networks: {a: {ipam: {}}}\n" + SERVICE, "1:16: ipam of the network a is not supported yet"),
    (
        "networks: {a: , b: }\nservices:\n  one: {image: x, networks: [a]}\n  two: {image: x, networks: [b]}\n",
        "4:30: two and one share no network; separate networks are not supported yet",
    ),
    (
        "services:\n  a: {image: x, scale: 2}\n  b: {image: x, network_mode: 'service:a'}\n",
        "3:31: a has 2 replicas: whose network would it be?",
    ),
]


def error(tmp_path: Path, text: str) -> InvalidStack:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(InvalidStack) as caught:
        load(str(file), name="test", env={}) if "name:" not in text else load(str(file), env={})
    return caught.value


@pytest.mark.parametrize(("lines", "expected", "hint"), ATTRIBUTES)
def test_attributes(tmp_path: Path, lines: str, expected: str, hint: str) -> None:
    found = error(tmp_path, f"{SERVICE}    {lines}\n")
    assert found.message == f"{tmp_path}/s.yaml:" + expected.replace("{dir}", str(tmp_path))
    if hint:
        assert found.hint.startswith(hint)


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_files(tmp_path: Path, text: str, expected: str) -> None:
    assert error(tmp_path, text).message == f"{tmp_path}/s.yaml:{expected}"


def test_an_error_in_a_merged_attribute_stands_where_it_was_written(tmp_path: Path) -> None:
    text = "x-base: &base\n  restart: soon\nservices:\n  web:\n    <<: *base\n    image: x\n"
    assert error(tmp_path, text).message == f'{tmp_path}/s.yaml:2:12: restart can\'t be "soon"'


def test_control_characters_of_a_file_never_reach_the_terminal(tmp_path: Path) -> None:
    found = error(tmp_path, SERVICE + '    restart: "\\e[2Jgone\\n"\n    "\\e]0;x": 1\n')
    assert found.message == f"{tmp_path}/s.yaml:5:5: a service has no attribute \\x1b]0;x"
    found = error(tmp_path, SERVICE + '    restart: "\\e[2Jgone\\n"\n')
    assert found.message == f'{tmp_path}/s.yaml:4:14: restart can\'t be "\\x1b[2Jgone\\n"'


def test_a_message_is_not_as_long_as_the_file(tmp_path: Path) -> None:
    assert len(error(tmp_path, f"{SERVICE}    restart: {'x' * 10000}\n").message) < 600


def test_names_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SERVICE)
    with pytest.raises(InvalidValue, match="a stack's name can't be \"No Good\""):
        load(str(file), name="No Good", env={})
    with pytest.raises(InvalidValue, match="COMPOSE_PROJECT_NAME"):
        load(str(file), env={"COMPOSE_PROJECT_NAME": "-x"})


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(str(tmp_path / "none.yaml"))
