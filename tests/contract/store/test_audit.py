"""The audit log: nobody changes it unseen, everybody can read it, and it says what was erased."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys

import pytest
from contract.store.conftest import Clock
from fhir.resources.R4B.auditevent import AuditEvent as FhirAuditEvent
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.administration import export_audit, forget_user, verify_audit
from ehr_connector.audit import Action, Audit, Outcome
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.schema import audit_event, metadata

ACTOR, VISIT = "a" * 43, "v" * 43
BASE_URL = "https://ehr.example/r4/tenant"
USER, TENANT, OBJECT = "Practitioner/4122600", "t" * 36, "o" * 36


async def filled(engine: AsyncEngine, clock: Clock, rows: int = 5) -> Audit:
    audit = Audit(engine, clock)
    for _ in range(rows):
        clock.pass_(1.000001)
        await audit.record("lamna", "lamna", Action.JOINED, ACTOR, VISIT)
    return audit


async def change(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_rows_that_replicas_add_at_once_form_one_chain(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    audits = [Audit(engine, clock), Audit(other, clock)] * 10
    await asyncio.gather(*(one.record("lamna", "lamna", Action.JOINED, ACTOR, VISIT) for one in audits))
    verdict = await Audit(engine, clock).verify()
    assert (verdict.rows, verdict.broken_at) == (20, None)


async def test_what_is_told_again_is_audited_once(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    audits = [Audit(engine, clock), Audit(other, clock)] * 3
    for token in ("t" * 43, "u" * 43):
        parts = (token, "lamna", "lamna", Action.PATIENT_JOINED, "patient", VISIT)
        await asyncio.gather(*(one.record_once(*parts) for one in audits))
    assert (await audits[0].verify()).rows == 2


async def test_an_empty_log_holds(engine: AsyncEngine, clock: Clock) -> None:
    assert (await Audit(engine, clock).verify()).broken_at is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("namespace", "'x'"),
        ("name", "'x'"),
        ("action", "'sent'"),
        ("outcome", "'x'"),
        ("actor", "'x'"),
        ("object", "'x'"),
        ("previous", f"'sha256:{'1' * 64}'"),
        ("digest", f"'sha256:{'1' * 64}'"),
        ("happened_at", "'2026-01-01 00:00:00.000000'"),
    ],
)
async def test_a_changed_column_is_found(engine: AsyncEngine, clock: Clock, column: str, value: str) -> None:
    audit = await filled(engine, clock)
    await change(engine, f"UPDATE audit_event SET {column} = {value} WHERE number = 3")
    assert (await audit.verify()).broken_at == 3


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_removed_row_is_found_at_the_next_one(engine: AsyncEngine, clock: Clock, number: int) -> None:
    audit = await filled(engine, clock)
    await change(engine, f"DELETE FROM audit_event WHERE number = {number}")
    assert (await audit.verify()).broken_at == number + 1


async def test_rows_cut_off_at_the_end_are_found_by_who_knows_a_later_one(engine: AsyncEngine, clock: Clock) -> None:
    audit = await filled(engine, clock)
    known = (await audit.verify()).newest
    assert known.startswith("5:sha256:")
    assert (await audit.verify(known)).broken_at is None
    await change(engine, "DELETE FROM audit_event WHERE number > 3")
    assert (await audit.verify()).broken_at is None
    assert (await audit.verify(known)).broken_at == 4


async def test_a_chain_that_was_made_anew_is_found_by_who_knows_a_row_of_the_old_one(
    engine: AsyncEngine, clock: Clock
) -> None:
    audit = await filled(engine, clock)
    known = (await audit.verify()).newest
    await change(engine, "DELETE FROM audit_event")
    await filled(engine, clock, rows=6)
    assert (await audit.verify()).broken_at is None
    assert (await audit.verify(known)).broken_at == 7


async def test_an_inserted_row_is_found(engine: AsyncEngine, clock: Clock) -> None:
    audit = await filled(engine, clock)
    async with engine.begin() as connection:
        copied = (await connection.execute(select(audit_event).where(audit_event.c.number == 5))).one()
        await connection.execute(insert(audit_event).values(**copied._asdict() | {"number": 6}))
    assert (await audit.verify()).broken_at == 6


async def test_rows_that_changed_places_are_found(engine: AsyncEngine, clock: Clock) -> None:
    audit = await filled(engine, clock)
    swap = "UPDATE audit_event SET number = {} WHERE number = {}"
    await change(engine, swap.format(99, 2), swap.format(2, 3), swap.format(3, 99))
    assert (await audit.verify()).broken_at == 2


async def test_a_log_of_more_than_a_page_is_followed_to_its_end(engine: AsyncEngine, clock: Clock) -> None:
    audit = await filled(engine, clock, rows=1005)
    assert (await audit.verify()).rows == 1005
    await change(engine, "UPDATE audit_event SET actor = 'x' WHERE number = 1001")
    assert (await audit.verify()).broken_at == 1001


async def test_each_row_is_also_in_the_programs_log(
    engine: AsyncEngine, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        audit = await filled(engine, clock, rows=1)
    assert f"audit {(await audit.verify()).newest}" in caplog.messages


async def test_the_export_is_valid_fhir_and_holds_every_row(engine: AsyncEngine, clock: Clock) -> None:
    audit = Audit(engine, clock)
    for action in Action:
        await audit.record("lamna", "lamna", action, ACTOR, VISIT)
    out = io.StringIO()
    assert await export_audit(engine, out) == 0
    resources = [FhirAuditEvent.model_validate(json.loads(line)) for line in out.getvalue().splitlines()]
    assert [one.model_dump()["subtype"][0]["code"] for one in resources] == [action.value for action in Action]
    assert {one.recorded for one in resources} == {clock()}


FHIR_OUTCOMES = {Outcome.REFUSED: "4", Outcome.FAILED: "8"}


@pytest.mark.parametrize("outcome", Outcome)
async def test_the_export_tells_success_from_failure(engine: AsyncEngine, clock: Clock, outcome: Outcome) -> None:
    await Audit(engine, clock).record("lamna", "lamna", Action.SENT, ACTOR, VISIT, outcome)
    out = io.StringIO()
    await export_audit(engine, out)
    resource = json.loads(out.getvalue())
    assert (resource["outcome"], resource["outcomeDesc"]) == (FHIR_OUTCOMES.get(outcome, "0"), outcome)


@pytest.mark.parametrize(("action", "said"), [(Action.ERASED, "0"), (Action.SENT, "4")])
async def test_an_outcome_of_another_version_is_no_success_unless_it_was_one(
    engine: AsyncEngine, clock: Clock, action: Action, said: str
) -> None:
    await Audit(engine, clock).record("lamna", "lamna", action, ACTOR, VISIT)
    await change(engine, "UPDATE audit_event SET outcome = '2 removed'")
    out = io.StringIO()
    await export_audit(engine, out)
    assert json.loads(out.getvalue())["outcome"] == said


async def test_forgetting_a_user_removes_the_pairs_and_leaves_a_row_that_says_so(
    engine: AsyncEngine, clock: Clock
) -> None:
    accounts = Accounts(engine, clock)
    await accounts.put(BASE_URL, USER, TENANT, OBJECT)
    await accounts.put(BASE_URL, "Practitioner/1", TENANT, OBJECT)
    out = io.StringIO()
    assert await forget_user(engine, BASE_URL.upper().replace("R4/TENANT", "r4/tenant") + "/", USER, out, clock) == 0
    lines = out.getvalue().splitlines()
    assert lines[-1] == "1 account links removed. No row of any table names the user."
    told = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert told.pop("account_link") == ["1", "0"]
    assert set(told) == set(metadata.tables) - {"account_link"}
    assert set(map(tuple, told.values())) == {("0", "0")}
    assert await accounts.get(BASE_URL, USER, TENANT) is None
    assert await accounts.get(BASE_URL, "Practitioner/1", TENANT) == OBJECT
    (event,) = [event async for event in Audit(engine, clock).events()]
    assert (event.action, event.actor, event.object) == ("erased", "administrator", "account_link: 1 removed")


async def test_a_row_that_holds_an_id_of_the_user_after_all_is_told(engine: AsyncEngine, clock: Clock) -> None:
    await Accounts(engine, clock).put(BASE_URL, USER, TENANT, OBJECT)
    await Audit(engine, clock).record("lamna", "lamna", Action.SENT, OBJECT, VISIT)
    out = io.StringIO()
    assert await forget_user(engine, BASE_URL, USER, out, clock) == 1
    assert re.search(r"^audit_event +0 +1$", out.getvalue(), re.MULTILINE)
    assert out.getvalue().splitlines()[-1] == "1 account links removed. Rows are left that hold an id of the user."


@pytest.mark.parametrize(
    ("actor", "left"),
    [("4122600", 0), (USER, 1), (f"by {USER} today", 1), (f"x{USER}", 0), (f"{USER}9", 0), (f"{BASE_URL}/{USER}", 1)],
)
async def test_an_id_is_found_as_a_word_of_a_longer_text_and_not_as_a_part_of_one(
    engine: AsyncEngine, clock: Clock, actor: str, left: int
) -> None:
    await Accounts(engine, clock).put(BASE_URL, "Practitioner/1", TENANT, OBJECT)
    await Audit(engine, clock).record("lamna", "lamna", Action.SENT, actor, VISIT)
    out = io.StringIO()
    assert await forget_user(engine, BASE_URL, USER, out, clock) == left
    assert re.search(rf"^audit_event +0 +{left}$", out.getvalue(), re.MULTILINE)


async def test_an_id_without_its_type_is_no_proof_that_the_user_is_gone(engine: AsyncEngine, clock: Clock) -> None:
    accounts = Accounts(engine, clock)
    await accounts.put(BASE_URL, USER, TENANT, OBJECT)
    out = io.StringIO()
    assert await forget_user(engine, BASE_URL, "4122600", out, clock) == 1
    assert re.search(r"^account_link +0 +1$", out.getvalue(), re.MULTILINE)
    assert await accounts.get(BASE_URL, USER, TENANT) == OBJECT


@pytest.mark.parametrize("written", ["{}", "Practitioner/{}"])
async def test_a_configuration_that_names_the_user_is_told_and_left_to_its_repository(
    engine: AsyncEngine, clock: Clock, written: str
) -> None:
    configuration = OrganizationConfiguration.model_validate(ORGANIZATION_CONFIGURATION)
    await Organizations(engine, clock).put(configuration, Precondition(None))
    (practitioner,) = configuration.endpoints[0].appointments.practitioners
    out = io.StringIO()
    assert await forget_user(engine, configuration.endpoints[0].base_url, written.format(practitioner), out, clock) == 0
    assert "The configuration names the user" in out.getvalue()


async def test_a_base_url_of_which_nothing_is_known_is_an_error_and_leaves_no_row(
    engine: AsyncEngine, clock: Clock
) -> None:
    await Accounts(engine, clock).put(BASE_URL, USER, TENANT, OBJECT)
    out = io.StringIO()
    assert await forget_user(engine, f"{BASE_URL}x", USER, out, clock) == 2
    assert out.getvalue().splitlines() == [
        "Nothing was removed: no organisation has --base-url, and no user of it is known.",
        f"There is a user of this id at {BASE_URL}: was that one meant?",
    ]
    assert [event async for event in Audit(engine, clock).events()] == []
    assert await Accounts(engine, clock).get(BASE_URL, USER, TENANT) == OBJECT


async def test_a_user_who_is_at_another_base_url_is_not_said_to_be_gone(engine: AsyncEngine, clock: Clock) -> None:
    configuration = OrganizationConfiguration.model_validate(ORGANIZATION_CONFIGURATION)
    await Organizations(engine, clock).put(configuration, Precondition(None))
    await Accounts(engine, clock).put(BASE_URL, USER, TENANT, OBJECT)
    out = io.StringIO()
    assert await forget_user(engine, configuration.endpoints[0].base_url, USER, out, clock) == 1
    assert out.getvalue().splitlines()[-2:] == [
        "Nothing was removed.",
        f"There is a user of this id at {BASE_URL}: was that one meant?",
    ]
    assert await Accounts(engine, clock).get(BASE_URL, USER, TENANT) == OBJECT


async def test_who_was_at_a_base_url_that_nobody_has_any_more_can_be_forgotten(
    engine: AsyncEngine, clock: Clock
) -> None:
    for user in (USER, "Practitioner/1"):
        await Accounts(engine, clock).put(BASE_URL, user, TENANT, OBJECT)
    assert await forget_user(engine, BASE_URL, USER, io.StringIO(), clock) == 0
    assert await forget_user(engine, BASE_URL, USER, io.StringIO(), clock) == 0
    assert await forget_user(engine, BASE_URL, "Practitioner/1", io.StringIO(), clock) == 0
    assert await forget_user(engine, BASE_URL, USER, io.StringIO(), clock) == 2


async def test_the_command_ends_with_1_and_names_the_first_row_that_does_not_fit(
    engine: AsyncEngine, database_url: str, clock: Clock
) -> None:
    await filled(engine, clock)
    assert await command(database_url, "audit", "verify") == (0, await said(engine))
    await change(engine, "UPDATE audit_event SET actor = 'x' WHERE number = 2")
    assert await command(database_url, "audit", "verify") == (1, "The audit log was changed: row 2 does not fit.\n")


async def said(engine: AsyncEngine) -> str:
    out = io.StringIO()
    await verify_audit(engine, out=out)
    return out.getvalue()


async def command(database_url: str, *arguments: str) -> tuple[int | None, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EHR_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ehr_connector", *arguments),
        env=environment | {"EHR_CONNECTOR_DATABASE_URL": database_url},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()
