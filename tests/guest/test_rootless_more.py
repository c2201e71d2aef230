"""More of an ordinary user's containers under systemd: what is refused, what is killed, and the network."""

from __future__ import annotations

import re

import pytest

from tests.guest.conftest import Account

pytestmark = pytest.mark.root


def test_what_is_not_delegated_is_refused_and_said(account: Account) -> None:
    refused = account("run", "--rm", "--cpuset-cpus", "0", "pyctr/base", "true", check=False)
    assert refused.code == 125
    assert "cpuset" in refused.out
    assert "delegated to this user" in account("doctor", check=False).out


def test_a_hog_is_killed_at_its_limit_and_that_is_told(account: Account) -> None:
    hog = "import time; time.sleep(1); hoard = bytearray(200 << 20)"
    limits = ("--memory", "32m", "--memory-swap", "32m")
    account("run", "--name", "hog", *limits, "pyctr/base", "python3", "-c", hog, check=False)
    assert account("inspect", "--format", "{{.State.OOMKilled}}", "hog").out.strip() == "true"


def test_without_a_way_out_containers_reach_each_other_and_nothing_is_published(account: Account) -> None:
    account("run", "--rm", "pyctr/base", "true")
    refused = account("run", "--rm", "-p", "8081:80", "pyctr/base", "true", check=False)
    assert "no default route" in refused.out


def test_a_published_port_is_reached(account: Account) -> None:
    out = "ip link add outside type dummy && ip addr add 192.0.2.1/24 dev outside && ip link set outside up"
    account.machine.run("sh", "-c", f"{out} && ip route add default via 192.0.2.2")
    told = account("doctor", check=False).out  # the profile that Debian's passt comes with
    remedy = re.search(r"as root, `(sed [^`]*)`", told)
    assert remedy is not None, told
    account.machine.run("sh", "-c", remedy[1])
    server = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=80)"
    account("run", "-d", "--name", "web", "-p", "8081:80", "pyctr/base", "python3", "-uc", server)
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/etc/hostname').status)"
    script = f'for try in $(seq 60); do python3 -c "{fetch}" 2>/dev/null && exit 0; sleep 1; done; exit 1'
    try:
        assert account.machine.run("sh", "-c", script).out.strip() == "200"
    finally:
        account.machine.run("ip", "link", "del", "outside")
