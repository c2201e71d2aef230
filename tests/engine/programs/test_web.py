"""A web application in Python as a stack's service: asked from the host and, by name, from its neighbour."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.stacks.load import load
from tests.engine.programs.conftest import IMAGE, House, fetch

pytestmark = pytest.mark.root

STACK = f"""
name: site
services:
  web:
    image: {IMAGE}
    command: [python3, -u, app.py]
    working_dir: /app
    user: nobody
    stop_signal: SIGINT
    environment: {{GREETING: hello}}
    ports: ["127.0.0.1::8000"]
    volumes: ["./app:/app:ro"]
  client:
    image: {IMAGE}
    command: [sleep, infinity]
    init: true
    depends_on: [web]
"""
APPLICATION = """
import os
from flask import Flask, request
app = Flask(__name__)

@app.route("/<name>")
def greet(name):
    return f"{os.environ['GREETING']} {name} from {request.remote_addr}\\n"

app.run(host="0.0.0.0", port=8000)
"""
CLIENT = "import urllib.request as r; print(r.urlopen('http://web:8000/neighbour', timeout=30).read().decode())"


def test_it_answers_the_host_and_its_neighbour(house: House, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text(APPLICATION)
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    house.engine.up(load(str(file), env={}))

    web, client = house.engine.container("site-web-1"), house.engine.container("site-client-1")
    assert fetch(web.ports[0].host_port, "/host").startswith("hello host from "), house.log(web)
    address = client.spec.address.split("/")[0]
    assert house.exec(client, "python3", "-c", CLIENT).out.strip() == f"hello neighbour from {address}"
    assert house.logged(web, '"GET /neighbour HTTP/1.1" 200')

    hardware = house.shell(web, "cat /sys/class/net/eth0/address")
    house.engine.restart(web.id)
    assert house.shell(web, "cat /sys/class/net/eth0/address") == hardware, "who remembers it still finds it"
    fetch(house.engine.container(web.id).ports[0].host_port, "/host")
    assert "hello neighbour" in house.exec(client, "python3", "-c", CLIENT).out
    house.engine.down("site")
    assert house.engine.containers() == []
