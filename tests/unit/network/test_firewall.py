from __future__ import annotations

from pyctr_engine.model.network import Network, PublishedPort
from pyctr_engine.model.spec import Port
from pyctr_engine.network import firewall

NETWORK = Network("bridge", "pyctr0", "10.100.0.0/16", "10.100.0.1")


def test_the_table_is_replaced_in_one_transaction() -> None:
    lines = firewall.table_text(NETWORK).splitlines()
    assert lines[:3] == ["add table ip pyctr0", "delete table ip pyctr0", "table ip pyctr0 {"]


def test_the_table_is_made_with_what_is_published() -> None:
    published = [
        PublishedPort("10.100.0.2", Port(80, 8080)),
        PublishedPort("10.100.0.3", Port(53, 5353, "127.0.0.1", "udp")),
    ]
    assert firewall.table_text(NETWORK, published).splitlines()[-2:] == [
        "add element ip pyctr0 ports { tcp . 8080 : 10.100.0.2 . 80 }",
        "add element ip pyctr0 address_ports { 127.0.0.1 . udp . 5353 : 10.100.0.3 . 53 }",
    ]


def test_unpublishing_deletes_exactly_what_publishing_adds() -> None:
    port = Port(80, 8080)
    added = firewall.publish_text("pyctr0", "10.100.0.2", (port,))
    first, second = firewall.unpublish_text("pyctr0", "10.100.0.2", port).splitlines()
    assert first == added
    assert second == added.replace("add", "delete")
