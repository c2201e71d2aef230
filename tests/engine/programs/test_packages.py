"""apt and dpkg: packages come and go inside, and what they changed becomes an image that others can read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pyctr_engine.model.spec import CommitRequest
from tests.engine.programs.conftest import House

pytestmark = pytest.mark.root

MAKE_PACKAGE = """
mkdir -p /root/p/DEBIAN /root/p/usr/bin /root/p/var/lib/greeter
printf 'Package: greeter\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Us <us@example.org>\\nDepends: sudo\\n\
Description: greets\\n' > /root/p/DEBIAN/control
printf '#!/bin/sh\\nset -e\\nadduser --system --group --no-create-home greeter >/dev/null 2>&1 || \
useradd --system greeter\\nchown greeter /var/lib/greeter\\n' > /root/p/DEBIAN/postinst
printf '#!/bin/sh\\necho greetings\\n' > /root/p/usr/bin/greet
chmod 0755 /root/p/DEBIAN/postinst /root/p/usr/bin/greet
dpkg-deb --root-owner-group --build /root/p /tmp/greeter.deb
rm -r /root/p
"""


def test_apt_and_dpkg_know_what_is_installed(house: House) -> None:
    container = house.start()
    assert house.shell(container, "apt-get --version").startswith("apt 2.")
    assert "\nii  postgresql " in house.shell(container, "COLUMNS=200 dpkg -l")
    assert house.shell(container, "apt-get check -qq && dpkg --audit") == ""
    assert house.shell(container, "apt-cache policy nginx-light").startswith("nginx-light:")


def test_a_package_made_inside_is_installed_and_purged(house: House) -> None:
    container = house.start(network="none")
    house.shell(container, MAKE_PACKAGE)
    house.shell(container, "dpkg -i /tmp/greeter.deb")
    assert house.shell(container, "greet; stat -c %U /var/lib/greeter") == "greetings\ngreeter"
    house.shell(container, "apt-get purge -y greeter")
    assert house.shell(container, "ls /usr/bin | grep greet || true") == ""
    house.shell(container, "apt-get install -y /tmp/greeter.deb")
    assert house.shell(container, "greet") == "greetings"


def test_what_was_installed_is_in_the_committed_image_and_what_was_removed_is_not(
    house: House, tmp_path: Path
) -> None:
    container = house.start(network="none")
    house.shell(container, MAKE_PACKAGE + "apt-get install -y /tmp/greeter.deb; rm /tmp/greeter.deb")
    house.shell(container, "dpkg --purge --force-depends redis-server && rm -rf /usr/share/perl")
    changes = {change.path: change.kind for change in house.engine.changes(container.id)}
    assert changes["/usr/bin/greet"] == "A"
    assert changes["/usr/share/perl"] == "D"
    assert changes["/var/lib/dpkg/status"] == "C"

    house.engine.commit(container.id, CommitRequest("greeter:1", message="greets", changes=('CMD ["greet"]',)))
    script = "greet; stat -c %U /var/lib/greeter; dpkg -s greeter"
    lines = house.run("sh", "-c", script, image="greeter:1").out.splitlines()
    assert lines[:2] == ["greetings", "greeter"]
    assert "Status: install ok installed" in lines
    assert "No such file" in house.run("ls", "/usr/share/perl", image="greeter:1").err

    archive = tmp_path / "greeter.tar"
    house.engine.save(("greeter:1",), str(archive))
    described = subprocess.run(
        ["skopeo", "inspect", "--config", f"oci-archive:{archive}"], capture_output=True, text=True, check=False
    )
    assert described.returncode == 0, described.stderr
    config = json.loads(described.stdout)
    assert config["config"]["Cmd"] == ["greet"]
    assert len(config["rootfs"]["diff_ids"]) == 2
    archive.unlink()
