"""Programs that gain privileges inside: sudo, ping, files with capabilities; and no_new_privs, which stops them."""

from __future__ import annotations

import pytest

from pyctr_engine.model.spec import CommitRequest, Security
from pyctr_engine.model.status import Container
from tests.engine.programs.conftest import House

pytestmark = pytest.mark.root

ALICE = """
useradd -m alice
echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice
chmod 0440 /etc/sudoers.d/alice
cp "$(readlink -f /usr/bin/python3)" /usr/local/bin/raw-python
setcap cap_net_raw+ep /usr/local/bin/raw-python
"""
RAW_SOCKET = "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); print('open')"
HARDENED = Security(no_new_privileges=True)


def with_alice(house: House, **options: object) -> Container:
    """A container with a user who may become root, and a program that may open raw sockets."""
    container = house.start(**options)
    house.shell(container, ALICE)
    return container


def test_a_sudoer_becomes_root_inside_and_nobody_outside(house: House) -> None:
    container = with_alice(house)
    outcome = house.exec(container, "sudo", "-n", "sh", "-c", "id -un; head -1 /etc/shadow", user="alice")
    assert outcome.code == 0, outcome
    assert outcome.out.splitlines()[0] == "root"
    assert outcome.out.splitlines()[1].startswith("root:")
    assert outcome.err == ""
    mapped = house.exec(container, "sudo", "-n", "cat", "/proc/self/uid_map", user="alice").out.split()
    assert mapped[0] == "0"
    assert int(mapped[1]) >= 65536


def test_sudo_works_for_the_programs_own_user_too_and_with_a_terminal(house: House) -> None:
    container = with_alice(house)
    house.engine.commit(container.id, CommitRequest("alice:1", changes=("USER alice",)))
    assert house.run("sudo", "-n", "id", "-u", image="alice:1").out == "0\n"
    assert house.run("sudo", "-n", "id", "-u", image="alice:1", tty=True).out == "0\r\n"


def test_a_program_that_is_not_root_cannot_become_it_otherwise(house: House) -> None:
    container = with_alice(house)
    outcome = house.exec(container, "setpriv", "--reuid=0", "id", user="alice")
    assert outcome.code != 0
    assert house.exec(container, "sudo", "-n", "id", user="nobody").code != 0


def test_with_no_new_privileges_sudo_refuses(house: House) -> None:
    container = with_alice(house, security=HARDENED)
    outcome = house.exec(container, "sudo", "-n", "id", user="alice")
    assert outcome.code != 0
    assert "no new privileges" in outcome.err
    outcome = house.exec(container, "raw-python", "-c", RAW_SOCKET, user="alice")
    assert (outcome.code, outcome.out) != (0, "open\n"), "the file's capability does not count either"


def test_ping_reaches_the_gateway_itself_and_a_neighbour(house: House) -> None:
    container, neighbour = with_alice(house), house.start()
    gateway = house.engine.inspect(container.id)["NetworkSettings"]["Gateway"]
    addresses = [each.spec.address.split("/")[0] for each in (container, neighbour)]
    for user in ("root", "alice"):
        for target in (gateway, *addresses, "127.0.0.1", neighbour.name):
            outcome = house.exec(container, "ping", "-n", "-c", "1", "-W", "10", target, user=user)
            assert outcome.code == 0, outcome
            assert "1 received" in outcome.out


def test_ping_needs_no_new_privileges(house: House) -> None:
    container = with_alice(house, security=HARDENED)
    for user in ("root", "alice"):
        outcome = house.exec(container, "ping", "-n", "-c", "1", "-W", "10", "127.0.0.1", user=user)
        assert outcome.code == 0, outcome


def test_a_files_capability_counts_and_outlives_a_commit(house: House) -> None:
    container = with_alice(house)
    assert house.exec(container, "python3", "-c", RAW_SOCKET, user="alice").code == 1
    assert house.exec(container, "raw-python", "-c", RAW_SOCKET, user="alice").out == "open\n"
    house.engine.commit(container.id, CommitRequest("alice:2"))
    outcome = house.run("raw-python", "-c", RAW_SOCKET, image="alice:2", user="alice")
    assert outcome.out == "open\n", outcome
    assert "cap_net_raw" in house.run("getcap", "/usr/bin/ping", image="alice:2").out, "mmdebstrap's, imported"
