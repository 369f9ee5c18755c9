"""The operator's client and the connector understand each other, in success and in every refusal."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contract.connector.hospital import Cerner, endpoint_at
from contract.connector.issuer import Issuer
from contract.connector.running import Connector, Document, digest_of, organization, with_endpoints
from starlette.responses import PlainTextResponse

from ehr_api.control import Evidence, OrganizationConfiguration, ProbeOutcome
from ehr_clients.control import Control, ControlRefusedError, TokenAuth
from ehr_clients.errors import TemporaryError
from ehr_clients.http import client

URL = "https://connector.lamna.example"
NOBODY = "system:serviceaccount:ehr-system:default"


@dataclass
class Operator:
    """The operator's side."""

    control: Control
    issuer: Issuer
    token: str | None = None

    def read_token(self) -> str:
        """Return the token as the file holds it at this moment."""
        return self.token or self.issuer.token()


@pytest.fixture
async def operator(reaching: Connector) -> AsyncGenerator[Operator]:
    transport = httpx.ASGITransport(reaching.app, raise_app_exceptions=False)
    async with client(transport=transport) as http:
        operator = Operator(Control(http, URL), reaching.issuer)
        http.auth = TokenAuth(operator.read_token)
        yield operator


def configuration(document: Document) -> OrganizationConfiguration:
    return OrganizationConfiguration.model_validate(document)


async def test_what_is_configured_is_read_back_changed_and_forgotten(operator: Operator) -> None:
    control, first = operator.control, organization(displayName="Lämna")
    assert await control.configuration("lamna", "lamna") is None
    digest = await control.configure(configuration(first), replaces=None)
    held = await control.configuration("lamna", "lamna")
    assert held is not None
    assert (held.document, held.digest, digest) == (first, digest_of(first), digest_of(first))
    second = first | {"displayName": "Lamna"}
    assert await control.configure(configuration(second), replaces=digest) == digest_of(second)
    await control.forget("lamna", "lamna")
    await control.forget("lamna", "lamna")
    assert await control.configuration("lamna", "lamna") is None


async def test_the_evidence_of_a_new_organization_is_empty(operator: Operator) -> None:
    await operator.control.configure(configuration(organization()), replaces=None)
    assert await operator.control.evidence("lamna", "lamna") == Evidence()


async def test_probes_give_a_report_and_none_for_what_is_not_configured(operator: Operator, cerner: Cerner) -> None:
    document = configuration(endpoint_at(cerner.base_url()))
    await operator.control.configure(document, replaces=None)
    digest = document.endpoints[0].probe_digest
    report = await operator.control.run_probes("lamna", "lamna", "endpoint-0000", expects=digest)
    assert report is not None
    assert (report.token.outcome, report.appointment_search.outcome) == (ProbeOutcome.PASSED, ProbeOutcome.PASSED)
    assert await operator.control.run_probes("lamna", "lamna", "nobody", expects=digest) is None
    assert await operator.control.run_probes("lamna", "nobody", "endpoint-0000", expects=digest) is None


async def test_an_endpoint_that_is_configured_in_another_way_is_not_probed(operator: Operator, cerner: Cerner) -> None:
    await operator.control.configure(configuration(endpoint_at(cerner.base_url())), replaces=None)
    other = configuration(endpoint_at(cerner.base_url(), systemClientID="another")).endpoints[0].probe_digest
    assert await operator.control.run_probes("lamna", "lamna", "endpoint-0000", expects=other) is None
    assert await cerner.requests() == []


async def test_a_base_url_of_another_organization_is_told_as_the_configuration_writes_it(operator: Operator) -> None:
    await operator.control.configure(configuration(with_endpoints("https://fhir.example/r4")), replaces=None)
    second = with_endpoints("https://fhir.example/other", "https://FHIR.example/r4/", name="second")
    with pytest.raises(ControlRefusedError) as caught:
        await operator.control.configure(configuration(second), replaces=None)
    assert (caught.value.status, caught.value.base_url) == (409, "https://FHIR.example/r4/")


async def test_two_thousand_endpoints_pass_through(operator: Operator) -> None:
    document = with_endpoints(*(f"https://fhir.example/r4/{number}" for number in range(2000)))
    await operator.control.configure(configuration(document), replaces=None)
    held = await operator.control.configuration("lamna", "lamna")
    assert held is not None
    assert held.document == document


@pytest.mark.parametrize(
    ("document", "replaces", "status", "words"),
    [
        (organization(), None, 412, "read it again"),
        (organization(), "sha256:" + "0" * 64, 412, "read it again"),
        (organization("second", dataGeography="Europe"), None, 422, "controlURL"),
        (organization("second", endpoints=organization()["endpoints"]), None, 409, "https://fhir.example/r4/"),
    ],
)
async def test_a_refusal_brings_the_connectors_own_words(
    operator: Operator, document: Document, replaces: str | None, status: int, words: str
) -> None:
    await operator.control.configure(configuration(organization()), replaces=None)
    with pytest.raises(ControlRefusedError, match=str(status)) as caught:
        await operator.control.configure(configuration(document), replaces=replaces)
    assert caught.value.status == status
    assert words in caught.value.explanation


@pytest.mark.parametrize(("changes", "status"), [({"sub": NOBODY}, 403), ({"aud": "other"}, 401)])
async def test_a_token_that_is_not_accepted_is_a_refusal(
    operator: Operator, changes: dict[str, Any], status: int
) -> None:
    operator.token = operator.issuer.token(**changes)
    with pytest.raises(ControlRefusedError) as caught:
        await operator.control.configuration("lamna", "lamna")
    assert (caught.value.status, operator.token in caught.value.explanation) == (status, False)


async def test_a_renewed_token_is_used_at_once(operator: Operator) -> None:
    operator.token = operator.issuer.token(aud="other")
    with pytest.raises(ControlRefusedError):
        await operator.control.configuration("lamna", "lamna")
    operator.token = None
    assert await operator.control.configuration("lamna", "lamna") is None


async def test_an_issuer_that_is_down_is_temporary_and_says_when_to_come_again(operator: Operator) -> None:
    operator.issuer.discovery_answer = PlainTextResponse("down", 503)
    with pytest.raises(TemporaryError) as caught:
        await operator.control.configuration("lamna", "lamna")
    assert (caught.value.status, caught.value.retry_after_s) == (503, 5.0)
