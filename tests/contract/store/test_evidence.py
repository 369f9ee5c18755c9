"""Evidence: each visit counts once for its profile, whoever tells of it and how often."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from contract.store.conftest import Clock
from contract.store.test_limits import row
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.evidence import EvidenceBook, evidence_of
from ehr_connector.store.single_use import SingleUse

OTHER_PROFILE = "sha256:" + "1" * 64


def book(engine: AsyncEngine, secret: SecretKeys, clock: Clock) -> EvidenceBook:
    return EvidenceBook(engine, SingleUse(engine, clock), secret, clock)


async def test_before_the_first_visit_there_is_none(engine: AsyncEngine) -> None:
    evidence = await evidence_of(engine, "lamna", "lamna")
    assert (evidence.profiles, evidence.records) == ([], [])


async def test_a_visit_of_which_all_replicas_tell_at_once_counts_once(
    engine: AsyncEngine, other: AsyncEngine, secret: SecretKeys, clock: Clock
) -> None:
    books = [book(engine, secret, clock), book(other, secret, clock)] * 4
    told = [*(one.provider_launched(row(clock)) for one in books), *(one.patient_joined(row(clock)) for one in books)]
    await asyncio.gather(*told)
    (profile,) = (await evidence_of(engine, "lamna", "lamna")).profiles
    assert (profile.provider_launches, profile.patient_joins) == (1, 1)


async def test_each_profile_has_counts_of_its_own(engine: AsyncEngine, secret: SecretKeys, clock: Clock) -> None:
    told = book(engine, secret, clock)
    for number in range(3):
        await told.provider_launched(replace(row(clock), visit=str(number) * 43))
    await told.provider_launched(replace(row(clock), profile_digest=OTHER_PROFILE))
    found = await evidence_of(engine, "lamna", "lamna")
    assert {one.profile_digest[7]: one.provider_launches for one in found.profiles} == {"0": 3, "1": 1}


async def test_another_organisation_sees_none_of_it(engine: AsyncEngine, secret: SecretKeys, clock: Clock) -> None:
    await book(engine, secret, clock).provider_launched(row(clock))
    await book(engine, secret, clock).record_seen("lamna", "lamna", "test-provider")
    for key in (("lamna", "other"), ("other", "lamna")):
        found = await evidence_of(engine, *key)
        assert (found.profiles, found.records) == ([], [])


async def test_a_record_shows_its_last_launch(engine: AsyncEngine, secret: SecretKeys, clock: Clock) -> None:
    told = book(engine, secret, clock)
    await told.record_seen("lamna", "lamna", "test-provider")
    clock.pass_(timedelta(days=1).total_seconds())
    await told.record_seen("lamna", "lamna", "test-provider")
    (record,) = (await evidence_of(engine, "lamna", "lamna")).records
    assert (record.record, record.last_seen_launch) == ("test-provider", clock())


async def test_a_visit_that_could_not_be_counted_is_counted_when_it_is_told_again(
    engine: AsyncEngine, secret: SecretKeys, clock: Clock
) -> None:
    told = book(engine, secret, clock)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE profile_evidence RENAME TO away"))
    with pytest.raises(SQLAlchemyError):
        await told.patient_joined(row(clock))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO profile_evidence"))
    await told.patient_joined(row(clock))
    (profile,) = (await evidence_of(engine, "lamna", "lamna")).profiles
    assert profile.patient_joins == 1
