"""nginx as people run it: no root, the logs on the standard streams, a published port."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount, Port
from pyctr_engine.model.status import Container, State
from tests.engine.programs.conftest import House, fetch, until

pytestmark = pytest.mark.root

CONFIG = """
daemon off;
pid /tmp/nginx.pid;
worker_processes 2;
error_log /dev/stderr notice;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server { listen 80; root /srv; }
}
"""


@pytest.fixture
def nginx(house: House, host_directory: Path) -> Container:
    """nginx as www-data, its configuration and pages bound from the host."""
    (host_directory / "nginx.conf").write_text(CONFIG)
    (host_directory / "page").write_text("a page\n")
    return house.start(
        *("nginx", "-e", "/dev/stderr"),
        user="www-data",
        mounts=(
            Mount("bind", str(host_directory / "nginx.conf"), "/etc/nginx/nginx.conf", read_only=True),
            Mount("bind", str(host_directory), "/srv", read_only=True),
        ),
        ports=(Port(80, host_ip="127.0.0.1"),),
    )


def test_it_serves_on_a_published_port_and_logs_to_the_standard_streams(house: House, nginx: Container) -> None:
    port = nginx.ports[0].host_port
    assert fetch(port, "/page") == "a page\n"
    assert until(lambda: house.logged(nginx, '"GET /page HTTP/1.1" 200', "stdout")), house.log(nginx)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(port, "/missing")
    assert until(lambda: house.logged(nginx, '"/srv/missing" failed (2: No such file', "stderr")), house.log(nginx)


def test_it_is_not_root_and_has_no_capabilities_though_it_listens_on_port_80(house: House, nginx: Container) -> None:
    fetch(nginx.ports[0].host_port, "/page")
    script = "stat -c %U /proc/1; grep -E 'CapPrm|CapEff' /proc/1/status"
    assert house.shell(nginx, script).split() == ["www-data", "CapPrm:", "0" * 16, "CapEff:", "0" * 16]


def test_it_opens_its_logs_anew_when_told(house: House, nginx: Container) -> None:
    port = nginx.ports[0].host_port
    fetch(port, "/page")
    house.engine.kill(nginx.id, "USR1")
    assert until(lambda: house.logged(nginx, "reopening logs")), house.log(nginx)
    fetch(port, "/page?again")
    assert until(lambda: house.logged(nginx, "GET /page?again", "stdout")), house.log(nginx)


def test_it_stops_by_its_signal_and_starts_again_on_a_port_that_leads_to_it(house: House, nginx: Container) -> None:
    fetch(nginx.ports[0].host_port, "/page")
    house.engine.stop(nginx.id)
    stopped = house.engine.container(nginx.id)
    assert (stopped.state, stopped.status.exit_code) == (State.EXITED, 0)
    again = house.engine.start(nginx.id)
    assert fetch(again.ports[0].host_port, "/page") == "a page\n"
