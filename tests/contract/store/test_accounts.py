"""Accounts: who of many has signed in."""

from __future__ import annotations

from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.accounts import Accounts

BASE_URL = "https://ehr.example/r4/tenant"


async def test_of_more_users_than_fit_a_question_those_who_signed_in_are_found(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    users = [(BASE_URL, f"Practitioner/{number}", "tenant") for number in range(450)]
    signed_in = {users[0], users[200], users[449]}
    for base_url, user, tenant in signed_in:
        await Accounts(engine, clock).put(base_url, user, tenant, "o" * 36)
    await Accounts(engine, clock).put(BASE_URL, "Practitioner/1", "another tenant", "o" * 36)
    accounts = Accounts(other, clock)
    assert await accounts.linked(users) == signed_in
    assert await accounts.linked([]) == set()
