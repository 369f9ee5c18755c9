"""A token endpoint belongs to one organisation, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_clients.errors import TemporaryError
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.token_endpoints import ForeignTokenEndpointError, TokenEndpoints

MINE, THEIRS = "https://fhir.ehr.example/R4/mine", "https://other.ehr.example/r4"
pytestmark = pytest.mark.usefixtures("digest")
TOKEN = "https://authorization.ehr.example/tenants/mine/token"


async def _configured(engine: AsyncEngine, name: str, base_urls: Sequence[str], digest: str | None = None) -> str:
    endpoint = ORGANIZATION_CONFIGURATION["endpoints"][0]
    endpoints = [endpoint | {"name": f"e{number}", "baseURL": url} for number, url in enumerate(base_urls)]
    document = ORGANIZATION_CONFIGURATION | {"name": name, "endpoints": endpoints}
    organizations = Organizations(engine, lambda: datetime.now(UTC))
    return await organizations.put(OrganizationConfiguration.model_validate(document), Precondition(digest))


@pytest.fixture
async def digest(engine: AsyncEngine) -> str:
    """Two organisations, and the digest of the first."""
    await _configured(engine, "theirs", [THEIRS])
    return await _configured(engine, "mine", [MINE])


async def test_the_first_has_it_and_keeps_it(engine: AsyncEngine) -> None:
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, TOKEN)
    with pytest.raises(ForeignTokenEndpointError):
        await endpoints.check(THEIRS, TOKEN)
    await TokenEndpoints(engine).check(MINE, TOKEN)


async def test_another_base_url_of_the_same_organization_may_name_it_too(engine: AsyncEngine, digest: str) -> None:
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, TOKEN)
    await _configured(engine, "mine", [MINE, f"{MINE}-2"], digest)
    await endpoints.check(f"{MINE}-2", TOKEN)


async def test_a_server_may_be_sent_what_it_grants_itself(engine: AsyncEngine) -> None:
    """Tenants of one server share its token endpoint: there is nobody to whom a token would leak."""
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, "https://other.ehr.example/token")
    await endpoints.check(THEIRS, "https://other.ehr.example/token")


@pytest.mark.parametrize("address", [TOKEN, "https://authorization.ehr.example/another/way/to/mine", MINE])
async def test_in_the_domain_of_anothers_ehr_nothing_is_granted_to_a_server_elsewhere(
    engine: AsyncEngine, address: str
) -> None:
    """Before it was claimed, and whatever other addresses the authorization server has."""
    await _configured(engine, "attacker", ["https://attacker.example/r4"])
    with pytest.raises(ForeignTokenEndpointError):
        await TokenEndpoints(engine).check("https://attacker.example/r4", address)
    await TokenEndpoints(engine).check(MINE, address)


async def test_a_hospital_s_own_sign_in_may_be_in_another_domain(engine: AsyncEngine) -> None:
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, "https://login.mine.example/token")
    with pytest.raises(ForeignTokenEndpointError):
        await endpoints.check(THEIRS, "https://login.mine.example/token")


async def test_it_is_free_when_the_base_url_that_named_it_has_gone(engine: AsyncEngine, digest: str) -> None:
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, TOKEN)
    await _configured(engine, "mine", [f"{MINE}-2"], digest)
    await endpoints.check(THEIRS, TOKEN)


async def test_who_is_not_served_any_more_gets_nothing(engine: AsyncEngine) -> None:
    with pytest.raises(ForeignTokenEndpointError):
        await TokenEndpoints(engine).check("https://gone.example/r4", TOKEN)


async def test_of_two_who_name_it_at_once_one_gets_it(engine: AsyncEngine) -> None:
    checks = (TokenEndpoints(engine).check(url, TOKEN) for url in (MINE, THEIRS))
    ended = await asyncio.gather(*checks, return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["ForeignTokenEndpointError", "NoneType"]


async def test_without_the_database_what_was_right_goes_on_and_nothing_else(engine: AsyncEngine) -> None:
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, TOKEN)
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE token_endpoint_claim"))
    await endpoints.check(MINE, TOKEN)
    with pytest.raises(TemporaryError):
        await endpoints.check(THEIRS, TOKEN)


async def test_a_claim_in_the_form_of_an_earlier_version_is_one(engine: AsyncEngine) -> None:
    """As a replica of that writes it while both run."""
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE base_url_claim SET base_url = '{MINE}' WHERE name = 'mine'"))
    endpoints = TokenEndpoints(engine)
    await endpoints.check(MINE, TOKEN)
    with pytest.raises(ForeignTokenEndpointError):
        await endpoints.check(THEIRS, TOKEN)
