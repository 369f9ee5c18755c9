"""What our clients of messages ask, what they return, and what a refusal becomes."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from contract.acs_messages.connected import LINK, REQUEST, Connected
from contract.acs_stand_in.messaging import PATIENT, SENDER

from ehr_clients.acs_sms import REPETITION_REJECTED
from ehr_clients.errors import RefusedError


async def test_a_text_has_an_id_by_which_its_report_is_found(connected: Connected) -> None:
    message_id = await connected.text()
    early = await connected.sms.delivery_report(message_id)
    await connected.acs.pass_time(seconds=2)
    report = await connected.sms.delivery_report(message_id)

    assert early is None
    assert report is not None
    assert (report.message_id, report.delivery_status, report.code) == (message_id, "Delivered", 2000)


async def test_a_repeated_text_is_the_first_one(connected: Connected) -> None:
    assert await connected.text() == await connected.text()
    assert await connected.accepted() == 1


async def test_a_repetition_that_comes_too_late_is_refused_and_named(connected: Connected) -> None:
    with pytest.raises(RefusedError) as refused:
        await connected.sms.send(
            SENDER,
            PATIENT,
            LINK,
            request_id=REQUEST,
            first_sent=connected.acs.settings.now() - timedelta(days=2),
            tag="tag",
        )

    assert refused.value.code == REPETITION_REJECTED
    assert await connected.accepted() == 0


@pytest.mark.parametrize(("recipient", "sender"), [("555", SENDER), (PATIENT, "+18005550199")])
async def test_a_refusal_names_no_phone(connected: Connected, recipient: str, sender: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await connected.text(recipient, sender=sender)

    assert recipient not in str(refused.value)
    assert await connected.accepted() == 0


async def test_opt_outs_are_added_seen_and_removed(connected: Connected) -> None:
    seen = [await connected.sms.is_opted_out(SENDER, PATIENT)]
    await connected.sms.opt_out(SENDER, PATIENT)
    seen.append(await connected.sms.is_opted_out(SENDER, PATIENT))
    await connected.sms.opt_in(SENDER, PATIENT)
    seen.append(await connected.sms.is_opted_out(SENDER, PATIENT))

    assert seen == [False, True, False]


async def test_an_email_runs_under_the_callers_operation_id(connected: Connected) -> None:
    first, second = await connected.mail(), await connected.mail()
    await connected.acs.pass_time(seconds=2)
    ended = await connected.email.operation(REQUEST)

    assert first == second
    assert (first.id, first.status) == (str(REQUEST), "Running")
    assert ended is not None
    assert ended.status == "Succeeded"
    assert await connected.accepted() == 1


async def test_an_operation_of_which_the_service_knows_nothing_is_none(connected: Connected) -> None:
    assert await connected.email.operation(UUID(int=1)) is None


async def test_an_email_that_was_dropped_says_why(connected: Connected) -> None:
    await connected.acs.control("POST", "messages", {"fail_emails": 1})
    await connected.mail()
    await connected.acs.pass_time(seconds=2)
    ended = await connected.email.operation(REQUEST)

    assert ended is not None
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("Failed", "EmailDroppedAllRecipientsSuppressed")


async def test_a_sender_domain_that_is_not_linked_is_refused_with_its_code(connected: Connected) -> None:
    with pytest.raises(RefusedError) as refused:
        await connected.mail("visits@elsewhere.example")

    assert refused.value.code == "DomainNotLinked"
