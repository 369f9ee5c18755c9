"""Whoever may name a base URL does not come to another organisation's tokens: its token endpoint belongs to that."""

from __future__ import annotations

from typing import Any

import pytest
from contract.connector.hospital import Cerner, StrangeEhr, endpoint_at
from contract.connector.probing import outcomes
from contract.connector.running import Connector, Document

FOREIGN = ("UnexpectedAnswer", "NotRun")


async def _token_endpoint(cerner: Cerner) -> str:
    answer = await cerner.http.get(f"{cerner.base_url()}/.well-known/smart-configuration")
    return answer.json()["token_endpoint"]


def _of(document: Document, name: str) -> Document:
    return document | {"name": name}


async def _report(connector: Connector, base_url: str, name: str) -> tuple[Document, dict[str, Any]]:
    document = _of(endpoint_at(base_url), name)
    await connector.put_new(document)
    return document, await connector.probe(document)


async def test_a_server_that_names_anothers_token_endpoint_is_sent_no_token_of_it(
    reaching: Connector, cerner: Cerner, strange: StrangeEhr
) -> None:
    assert outcomes((await _report(reaching, cerner.base_url(), "victim"))[1]) == ("Passed", "Passed")
    granted = len([path for path in await cerner.requests() if path.endswith("/token")])
    strange.token_endpoint = await _token_endpoint(cerner)

    _, report = await _report(reaching, strange.base_url, "attacker")

    assert outcomes(report) == FOREIGN
    assert report["token"]["errorCode"] == "foreign_token_endpoint"
    assert strange.requests == ["smart-configuration"]
    assert len([path for path in await cerner.requests() if path.endswith("/token")]) == granted


@pytest.mark.parametrize("change", ["?x=1", "#x", "/", "/./", "/."])
async def test_another_way_to_write_the_token_endpoint_helps_nobody(
    reaching: Connector, cerner: Cerner, strange: StrangeEhr, change: str
) -> None:
    await _report(reaching, cerner.base_url(), "victim")
    strange.token_endpoint = await _token_endpoint(cerner) + change
    assert outcomes((await _report(reaching, strange.base_url, "attacker"))[1]) == FOREIGN
    assert strange.requests == ["smart-configuration"]


async def test_a_hospital_has_its_authorization_server_at_another_host(
    reaching: Connector, cerner: Cerner, strange: StrangeEhr
) -> None:
    strange.token_endpoint = await _token_endpoint(cerner)
    document, report = await _report(reaching, strange.base_url, "hospital")
    assert outcomes(report) == ("Passed", "Passed")
    assert outcomes(await reaching.probe(document)) == ("Passed", "Passed")


async def test_who_no_longer_has_the_base_url_has_no_token_endpoint_either(
    reaching: Connector, cerner: Cerner, strange: StrangeEhr
) -> None:
    before, _ = await _report(reaching, cerner.base_url(), "before")
    await reaching.delete(before)
    strange.token_endpoint = await _token_endpoint(cerner)
    assert outcomes((await _report(reaching, strange.base_url, "after"))[1]) == ("Passed", "Passed")
