"""What people text back: STOP in every language stops, START restores, HELP is answered, and nothing of it is kept."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from contract.acs_stand_in.messaging import PATIENT, SENDER
from contract.answers.answering import Desk
from unit.api.full_documents import ORGANIZATION_CONFIGURATION, SMS_NOTIFICATIONS

OTHER_PHONE, OTHER_NUMBER = "+14255550177", "+18005550111"


@pytest.mark.parametrize("word", ["Stop!", "退订"])
async def test_a_wish_for_no_texts_holds_in_any_language_for_this_phone_and_this_organisation(
    desk: Desk, word: str
) -> None:
    await desk.configure("other", endpoints=_endpoints(OTHER_NUMBER))
    await desk.say(word)
    await desk.read()

    assert await desk.is_opted_out()
    assert not await desk.is_opted_out(OTHER_PHONE)
    assert not await desk.is_opted_out(namespace="other")
    # The carrier has answered STOP itself; of ours there is no text.
    assert await desk.texts() == []


@pytest.mark.parametrize("word", ["UNSTOP", "ابدأ"])
async def test_texts_come_again_by_a_word_for_it(desk: Desk, word: str) -> None:
    await desk.say("STOP", word)
    await desk.read(2)
    assert not await desk.is_opted_out()


async def test_a_yes_restores_nothing(desk: Desk) -> None:
    await desk.say("STOP", "Yes", "ok thank you")
    await desk.read(3)
    assert await desk.is_opted_out()
    assert desk.count("text", "no_wish") == 2


async def test_the_last_wish_holds_though_it_comes_first_and_all_come_twice(desk: Desk) -> None:
    await desk.behave(hold_events=True, reverse_events=True, event_copies=2)
    for word in ("STOP", "START", "STOP", "START"):
        await desk.say(word)
    await desk.behave(hold_events=False)
    await desk.read(8)
    assert not await desk.is_opted_out()


async def test_a_stop_to_a_number_that_nobody_has_any_more_stops_all_that_share_the_resource(desk: Desk) -> None:
    await desk.configure("other", endpoints=_endpoints(OTHER_NUMBER))
    await desk.say("STOP", to="+18005550199")
    await desk.read()
    assert await desk.is_opted_out()
    assert await desk.is_opted_out(namespace="other")


@pytest.mark.parametrize(("word", "words"), [("Help", "Help:"), ("ayuda", "Ayuda:")])
async def test_help_is_answered_in_the_language_of_the_word_with_the_help_phone(
    desk: Desk, word: str, words: str
) -> None:
    await desk.say(word)
    await desk.read()
    [text] = await desk.texts()

    assert (text["from"], text["to"]) == (SENDER, PATIENT)
    assert "+18005550199" in text["message"]
    assert words in text["message"]


async def test_a_question_that_is_told_twice_is_answered_once(desk: Desk) -> None:
    await desk.behave(event_copies=3)
    await desk.say("HELP")
    await desk.queue.holds(3)  # before a report of the answer can be among them
    await desk.read(3)
    assert len(await desk.texts()) == 1


async def test_an_answer_that_was_lost_is_sent_once(desk: Desk) -> None:
    await desk.control("PUT", "faults", [{"action": "lose_answer", "path": "/sms"}])
    desk.answers = replace(desk.answers, hidden_s=1)
    await desk.say("HELP")
    await desk.read()
    lost = desk.count("text", "later")
    await desk.read(2)  # the report of the answer, and the question again
    assert (lost, desk.count("text", "help")) == (1, 1)
    assert len(await desk.texts()) == 1


async def test_a_question_is_answered_however_often_the_provider_failed_before(desk: Desk) -> None:
    await desk.control("PUT", "faults", [{"action": "status", "status": 503, "path": "/sms", "count": 4}])
    desk.answers = replace(desk.answers, hidden_s=1)
    await desk.say("HELP")
    await desk.read(5)
    assert desk.count("text", "later") == 4
    assert len(await desk.texts()) == 1


async def test_help_is_answered_some_times_an_hour_and_no_more(desk: Desk) -> None:
    await desk.say(*["HELP"] * 5)
    await desk.queue.holds(5)  # before a report of an answer can be among them
    await desk.read(5)
    assert len(await desk.texts()) == 3


@pytest.mark.parametrize("why", ["opted out", "no texts", "no consent", "no active endpoint"])
async def test_help_is_not_answered_where_no_text_may_go(desk: Desk, why: str) -> None:
    if why == "opted out":
        await desk.say("STOP")
        await desk.read()
    elif why == "no texts":
        await desk.configure(smsNotifications={"enabled": False})
    elif why == "no consent":
        await desk.configure(smsNotifications=SMS_NOTIFICATIONS | {"enabled": False, "consent": {}})
    else:
        await desk.configure(endpoints=[one | {"active": False} for one in _endpoints(SENDER)])
    await desk.say("HELP")
    await desk.read()
    assert await desk.texts() == []


async def test_a_number_of_test_endpoints_alone_answers_those_on_the_list(desk: Desk) -> None:
    await desk.configure(endpoints=[one | {"environment": "Test"} for one in _endpoints(SENDER)])
    await desk.say("HELP")
    await desk.read()
    before = await desk.texts()
    desk.list_.write_text(f"{PATIENT}\n")
    await desk.say("HELP")
    await desk.read()
    assert (before, len(await desk.texts())) == ([], 1)


async def test_neither_words_nor_phones_are_written_down_or_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="ehr_connector")
    secret = "canary Pat Doe has a cough"
    await desk.send(code=4007)
    await desk.send(code=4010)
    await desk.say(secret, f"STOP {secret}")
    await desk.read(4)  # so that HELP is not answered, whose report would be one more
    await desk.say("HELP", f"help {secret}")
    await desk.queue.put_event({"eventType": secret}, {"topic": secret, "eventType": "x", "data": {}})
    await desk.queue.put(secret)
    await desk.read(5)

    digits = PATIENT.removeprefix("+1")
    for where, what in (("database", await desk.everything()), ("log", caplog.text)):
        assert "canary" not in what, where
        assert digits not in what, where
    assert desk.count("other", "malformed") == 2
    assert await desk.queue.size() == 0


def _endpoints(number: str) -> list[dict[str, Any]]:
    return [one | {"senderNumber": number} for one in deepcopy(ORGANIZATION_CONFIGURATION["endpoints"])]
