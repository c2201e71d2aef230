from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import InvalidValue
from pyctr_engine.network import addresses
from pyctr_engine.network.addresses import Subnet, parse_subnet, to_number, to_text


def test_a_subnet_is_read_and_written_back() -> None:
    subnet = parse_subnet("10.100.0.0/16")
    assert (subnet.size, to_text(subnet.gateway), str(subnet)) == (65536, "10.100.0.1", "10.100.0.0/16")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.0",
        "10.0.0/8",
        "10.0.0.0/7",
        "10.0.0.0/30",
        "10.0.0.0/+9",
        "10.0.0.0/٨",
        "::/64",
        "a/8",
        "10.0.0.0/",
    ],
)
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_subnet(text)


def test_a_host_address_in_place_of_a_subnet_names_the_subnet_meant() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_subnet("10.1.2.3/16")
    assert "10.1.0.0/16" in caught.value.hint


def test_addresses_begin_after_the_gateway() -> None:
    subnet = parse_subnet("10.5.0.0/29")
    assert addresses.next_free(subnet, set(), 0) == to_number("10.5.0.2")


def test_addresses_go_round_before_one_is_used_again() -> None:
    subnet = parse_subnet("10.5.0.0/29")
    cursor, given_out = 0, []
    for _ in range(7):
        free = addresses.next_free(subnet, set(), cursor)
        assert free is not None
        cursor = free
        given_out.append(to_text(free)[-1])
    assert given_out == ["2", "3", "4", "5", "6", "2", "3"]


@given(prefix=st.integers(24, 29), seed=st.data())
def test_a_lease_is_free_and_usable_and_fails_only_when_all_are_taken(prefix: int, seed: st.DataObject) -> None:
    subnet = Subnet(to_number("10.9.8.0"), prefix)
    usable = range(subnet.base + 2, subnet.base + subnet.size - 1)
    taken = seed.draw(st.sets(st.sampled_from(usable)))
    after = seed.draw(st.one_of(st.just(0), st.sampled_from(usable)))
    free = addresses.next_free(subnet, taken, after)
    if len(taken) == len(usable):
        assert free is None
        return
    above = [address for address in usable if address not in taken and address > after]
    below = [address for address in usable if address not in taken]
    assert free == (above or below)[0]


def test_an_engine_of_its_own_directory_begins_at_a_place_of_its_own() -> None:
    first = [next(iter(addresses.candidates(tag))) for tag in ("", "00000001", "00000002")]
    assert [str(subnet) for subnet in first] == ["10.100.0.0/16", "10.128.16.0/20", "10.128.32.0/20"]


def test_candidates_of_one_engine_are_distinct_and_do_not_overlap() -> None:
    found = list(addresses.candidates("deadbeef"))
    assert len({subnet.base for subnet in found}) == len(found) == 2048
    assert {subnet.base >> 23 for subnet in found} == {to_number("10.128.0.0") >> 23}


def test_the_hosts_routes_are_read_without_the_default_one_and_ones_own(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "pyctr0\t0000640A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert addresses.host_subnets("pyctr0", str(table)) == [parse_subnet("10.0.2.0/24")]
    assert parse_subnet("10.100.0.0/16") in addresses.host_subnets("eth9", str(table))


def test_name_servers_count_as_used(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# nameserver 9.9.9.9\nnameserver 10.100.7.7\nnameserver fe80::1\nsearch example.org\n")
    (server,) = addresses.nameservers(str(resolv))
    assert parse_subnet("10.100.0.0/16").overlaps(server)


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("10.1.0.0/16", "10.1.128.0/20", True),
        ("10.1.128.0/20", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.2.0.0/16", False),
    ],
)
def test_overlap(one: str, other: str, answer: bool) -> None:
    assert parse_subnet(one).overlaps(parse_subnet(other)) is answer
