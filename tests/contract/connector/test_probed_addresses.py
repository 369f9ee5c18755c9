"""Where the probes with the connector's key do not go, whatever names and endpoints lead there."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from contract.connector.hospital import (
    LOOPBACK,
    Cerner,
    StrangeEhr,
)
from contract.connector.probing import outcomes, report_of
from contract.connector.running import Connector, Starter

from ehr_clients.guard import Address


class Rebinding:
    """A name server whose owner changes the answer between two questions."""

    def __init__(self, *answers: str) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[Address]:
        self.asked.append(host)
        return [ip_address(self._answers[min(len(self.asked), len(self._answers)) - 1])]


def _resolves_to(*addresses: str) -> Any:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


async def test_loopback_is_refused_unless_its_network_is_allowed(small: Connector, cerner: Cerner) -> None:
    report = await report_of(small, cerner.base_url())
    assert outcomes(report) == ("Unreachable", "NotRun")
    assert await cerner.requests() == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.168.1.1",
        "::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",
    ],
)
async def test_a_name_that_leads_into_a_private_network_is_not_followed(
    start: Starter, sqlite_url: str, address: str
) -> None:
    connector = await start(sqlite_url, resolve=_resolves_to(address), allowed_networks="127.0.0.1/32")
    report = await report_of(connector, "https://fhir.lamna.example/r4")
    assert outcomes(report) == ("Unreachable", "NotRun")
    assert report["token"]["errorCode"] == "address_refused"


async def test_a_name_without_an_address_is_told_from_an_ehr_that_is_down(start: Starter, sqlite_url: str) -> None:
    async def nowhere(_host: str, _port: int) -> Sequence[Address]:
        raise OSError("no such name")

    connector = await start(sqlite_url, resolve=nowhere)
    report = await report_of(connector, "https://fhir.lamna.example/r4")
    assert (outcomes(report), report["token"]["errorCode"]) == (("Unreachable", "NotRun"), "no_address")


async def test_a_name_that_changes_its_address_while_probes_run_changes_nothing(
    start: Starter, sqlite_url: str, strange: StrangeEhr
) -> None:
    resolve = Rebinding("127.0.0.1", "169.254.169.254")
    connector = await start(sqlite_url, resolve=resolve, allowed_networks=LOOPBACK)
    assert outcomes(await report_of(connector, strange.base_url)) == ("Passed", "Passed")
    assert resolve.asked == ["127.0.0.1"], "configuration, token and search went to one address"


async def test_a_token_endpoint_whose_name_leads_into_a_private_network_gets_no_assertion(
    start: Starter, sqlite_url: str, strange: StrangeEhr
) -> None:
    resolve = Rebinding("127.0.0.1", "64:ff9b::169.254.169.254")
    strange.token_endpoint = "https://auth.lamna.example/token"
    connector = await start(sqlite_url, resolve=resolve, allowed_networks=LOOPBACK)
    report = await report_of(connector, strange.base_url)
    assert (outcomes(report), report["token"]["errorCode"]) == (("Unreachable", "NotRun"), "address_refused")
    assert strange.requests == ["smart-configuration"]


async def test_one_private_address_among_public_ones_is_enough_to_refuse(start: Starter, sqlite_url: str) -> None:
    connector = await start(sqlite_url, resolve=_resolves_to("203.0.113.7", "10.0.0.1"))
    assert outcomes(await report_of(connector, "https://fhir.lamna.example/r4")) == ("Unreachable", "NotRun")


@pytest.mark.parametrize(
    "endpoint",
    ["https://10.0.0.1/token", "https://169.254.169.254/metadata", "https://[::1]/token", "https://[fe80::1]/token"],
)
async def test_a_token_endpoint_in_a_private_network_is_not_asked(
    reaching: Connector, strange: StrangeEhr, endpoint: str
) -> None:
    strange.token_endpoint = endpoint
    assert outcomes(await report_of(reaching, strange.base_url)) == ("Unreachable", "NotRun")
