"""Tokens of an EHR: asked for once by all who need one, whether it is granted, refused or slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from joserfc.jwk import ECKey
from unit.connector.ehr_model import asking_site

from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.fhir import Fhir
from ehr_clients.http import tls_context
from ehr_clients.smart import Grant, SigningKey, SmartConfiguration
from ehr_connector.ehr import access
from ehr_connector.ehr.access import EhrAccess

SITE = asking_site()


class AuthorizationServer:
    """Grants a token when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.is_foreign = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def discover(self, *_: Any) -> SmartConfiguration:
        """Answer."""
        return SmartConfiguration(token_endpoint="https://ehr.example/token")

    async def check(self, _base_url: str, _token_endpoint: str) -> None:
        """Say whose it is."""
        if self.is_foreign:
            raise ContractError("EHR", "read SMART configuration", "its token endpoint is another organisation's")

    async def system_token(self, *_: Any) -> Grant:
        """Grant a token."""
        self.asked += 1
        await self.may_answer.wait()
        if self.away:
            raise TemporaryError("EHR", "get token", "no complete answer in 20 s")
        return Grant(access_token=f"token-{self.asked}", token_type="Bearer", expires_in=570)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> AuthorizationServer:
    server = AuthorizationServer()
    monkeypatch.setattr(access, "discover", server.discover)
    monkeypatch.setattr(access, "system_token", server.system_token)
    return server


@pytest.fixture
async def ehr(server: AuthorizationServer) -> AsyncGenerator[EhrAccess]:
    key = SigningKey(ECKey.generate_key("P-384"), "ES384", "20260101T000000Z-aa")
    made = EhrAccess(tls_context(), [], lambda: key, lambda: 0.0, server.check)
    yield made
    await made.aclose()


async def _fine(_: Fhir) -> bool:
    return True


async def test_who_waits_for_a_token_shares_the_failure_of_the_one_who_asks(
    ehr: EhrAccess, server: AuthorizationServer
) -> None:
    server.away = True
    server.may_answer.clear()
    calls = [asyncio.create_task(ehr.call(SITE, _fine)) for _ in range(10)]
    await asyncio.sleep(0)
    server.may_answer.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(one) for one in outcomes] == [TemporaryError] * 10
    assert server.asked == 1


async def test_the_next_call_after_a_failure_asks_again(ehr: EhrAccess, server: AuthorizationServer) -> None:
    server.away = True
    with pytest.raises(RemoteError):
        await ehr.call(SITE, _fine)
    server.away = False

    assert await ehr.call(SITE, _fine)
    assert server.asked == 2


async def test_a_token_that_another_call_renewed_meanwhile_is_kept(ehr: EhrAccess, server: AuthorizationServer) -> None:
    sent, renewed = asyncio.Event(), asyncio.Event()
    tries = {"quick": 0, "slow": 0}

    async def refused_once(who: str) -> bool:
        tries[who] += 1
        if tries[who] > 1:
            return True
        if who == "slow":
            sent.set()
            await renewed.wait()
        raise RefusedError("EHR", "search Appointment", "status 401", status=401)

    slow = asyncio.create_task(ehr.call(SITE, lambda _: refused_once("slow")))
    await sent.wait()
    assert await ehr.call(SITE, lambda _: refused_once("quick"))
    renewed.set()

    assert await slow
    assert server.asked == 2


async def test_nothing_is_asked_of_a_token_endpoint_that_is_another_organizations(
    ehr: EhrAccess, server: AuthorizationServer
) -> None:
    server.is_foreign = True
    for ask in (ehr.call(SITE, _fine), ehr.smart_configuration(SITE)):
        with pytest.raises(ContractError, match="another organisation's"):
            await ask
    assert server.asked == 0
