"""Where a connection may lead."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_clients.guard import is_allowed

PUBLIC = {
    "IPv4": "8.8.8.8",
    "IPv6": "2606:4700::1111",
    "IPv4-mapped": "::ffff:8.8.8.8",
    "NAT64": "64:ff9b::8.8.8.8",
    "6to4": "2002:808:808::1",
}

REFUSED = {
    "IPv4-compatible loopback": "::127.0.0.1",
    "IPv4-compatible metadata service": "::169.254.169.254",
    "IPv4-translated metadata service": "::ffff:0:169.254.169.254",
    "NAT64, the local prefix of RFC 8215": "64:ff9b:1::169.254.169.254",
    "IPv6 site-local": "fec0::1",
    "IPv6 outside of 2000::/3": "4000::1",
    "metadata service of Oracle's cloud": "192.0.0.192",
    "private 10/8": "10.0.0.1",
    "private 172.16/12": "172.31.255.254",
    "private 192.168/16": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "loopback": "127.0.0.1",
    "loopback, another": "127.255.255.254",
    "link-local": "169.254.0.1",
    "metadata service": "169.254.169.254",
    "Azure platform": "168.63.129.16",
    "this network": "0.0.0.0",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "benchmarking": "198.18.0.1",
    "documentation": "203.0.113.1",
    "multicast": "224.0.0.1",
    "global multicast": "232.1.1.1",
    "IPv6 unspecified": "::",
    "IPv6 loopback": "::1",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with a zone": "fe80::1%eth0",
    "IPv6 unique local": "fd00::1",
    "metadata service of another cloud": "fd00:ec2::254",
    "IPv6 documentation": "2001:db8::1",
    "IPv6 discard": "100::1",
    "Teredo": "2001::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 global multicast": "ff0e::1",
    "IPv4-mapped private": "::ffff:10.0.0.1",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-mapped metadata service": "::ffff:169.254.169.254",
    "IPv4-mapped Azure platform": "::ffff:168.63.129.16",
    "NAT64 private": "64:ff9b::10.0.0.1",
    "NAT64 metadata service": "64:ff9b::169.254.169.254",
    "NAT64 Azure platform": "64:ff9b::168.63.129.16",
    "6to4 private": "2002:a00:1::1",
    "6to4 loopback": "2002:7f00:1::1",
    "6to4 metadata service": "2002:a9fe:a9fe::1",
    "6to4 Azure platform": "2002:a83f:8110::1",
}


@pytest.mark.parametrize("address", PUBLIC.values(), ids=PUBLIC.keys())
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address), [])


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED.keys())
def test_any_other_address_is_refused(address: str) -> None:
    assert not is_allowed(ip_address(address), [])


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED.keys())
def test_an_allowed_network_allows_its_own_addresses_and_no_others(address: str) -> None:
    somewhere_else = [ip_network("172.16.0.0/24"), ip_network("fd12::/16")]

    assert not is_allowed(ip_address(address), somewhere_else)
    assert is_allowed(ip_address(address), [*somewhere_else, ip_network(address.partition("%")[0])])


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.ip_addresses(v=6, network="::/48"))
def test_an_ipv4_address_inside_ipv6_is_judged_as_the_ipv4_address(inner: IPv4Address, rest: IPv6Address) -> None:
    mapped = IPv6Address(f"::ffff:{inner}")
    nat64 = IPv6Address(f"64:ff9b::{inner}")
    six_to_four = IPv6Address((0x2002 << 112) | (int(inner) << 80) | int(rest))

    assert {is_allowed(address, []) for address in (mapped, nat64, six_to_four)} == {is_allowed(inner, [])}


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1"])
def test_an_allowed_network_allows_every_form_of_its_addresses(address: str) -> None:
    assert is_allowed(ip_address(address), [ip_network("10.1.0.0/16")])
    assert not is_allowed(ip_address(address), [ip_network("10.2.0.0/16")])


def test_allowed_networks_take_nothing_away_from_public_addresses() -> None:
    assert is_allowed(ip_address("8.8.8.8"), [ip_network("10.0.0.0/8")])
