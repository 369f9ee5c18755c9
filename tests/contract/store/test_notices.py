"""What patients know: never older than what was written, in one moment with the end of the message that told it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.notify.planner.plan import Reading
from ehr_connector.store.notices import KEPT, Known, Notice, Notices
from ehr_connector.store.sends import Message, Sends, State

VISIT, REMINDERS = "v" * 43, frozenset({"reminder"})
FIRST = Notice(VISIT, "lamna", "lamna", "test", "a" * 43, 1)
SECOND = replace(FIRST, about="b" * 43, number=2)
MESSAGE = Message("d" * 43, VISIT, "lamna", "lamna", "test", "booking", "sms", about=FIRST.about)


async def test_what_was_noted_later_stays(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    notices = Notices(engine, clock)
    await notices.note([FIRST, SECOND])
    clock.pass_(60)
    await Notices(other, clock).note([FIRST, replace(FIRST, visit="w" * 43)])

    known = await notices.known([VISIT, "w" * 43, "x" * 43], REMINDERS)
    assert known[VISIT] == Known(SECOND.about, 2, clock() - timedelta(seconds=60))
    assert known["w" * 43].number == 1
    assert "x" * 43 not in known


async def test_thousands_of_visits_are_noted_and_known(engine: AsyncEngine, clock: Clock) -> None:
    notices = Notices(engine, clock)
    visits = [f"{number:043}" for number in range(1500)]
    await notices.note([replace(FIRST, visit=visit) for visit in visits])
    assert len(await notices.known(visits, REMINDERS)) == 1500


async def test_the_end_of_a_message_and_what_its_patient_knows_are_written_together(
    engine: AsyncEngine, clock: Clock
) -> None:
    sends, notices = Sends(engine, clock), Notices(engine, clock)
    lost = await sends.claim(MESSAGE)
    clock.pass_(60)
    claim = await sends.claim(MESSAGE)
    assert lost is not None
    assert claim is not None
    await sends.end(lost, State.ACCEPTED, message_id="1", notice=SECOND)
    before = await notices.known([VISIT], REMINDERS)
    await sends.end(claim, State.ACCEPTED, message_id="2", notice=FIRST)

    assert before == {}
    assert (await notices.known([VISIT], REMINDERS))[VISIT].about == FIRST.about


async def test_a_confirmation_that_may_have_gone_out_is_known_and_can_be_given_up_once_nobody_is_at_it(
    engine: AsyncEngine, clock: Clock
) -> None:
    sends, notices = Sends(engine, clock), Notices(engine, clock)
    claim = await sends.claim(MESSAGE)
    assert claim is not None
    nothing = await notices.known([VISIT], REMINDERS)
    await sends.address(claim, "p" * 43, "+18005550100")
    perhaps = await notices.known([VISIT], REMINDERS)
    too_early = await notices.give_up(MESSAGE.digest, FIRST)
    clock.pass_(60)
    given_up = await notices.give_up(MESSAGE.digest, FIRST)

    assert nothing == {}
    assert perhaps[VISIT] == Known(perhaps=FIRST.about)
    assert (too_early, given_up) == (False, True)
    assert (await notices.known([VISIT], REMINDERS))[VISIT] == Known(FIRST.about, 1, clock())
    assert await sends.claim(MESSAGE) is None


async def test_reminders_that_have_ended_are_known(engine: AsyncEngine, clock: Clock) -> None:
    sends, notices = Sends(engine, clock), Notices(engine, clock)
    for number, state in enumerate((State.ACCEPTED, State.NOT_SENT, State.UNKNOWN, None)):
        message = replace(MESSAGE, digest=f"{number}" * 43, occasion="reminder", about=None)
        claim = await sends.claim(message)
        assert claim is not None
        if state is not None:
            await sends.end(claim, state)
    known = await notices.known([VISIT], REMINDERS)
    assert known[VISIT].reminded == {"0" * 43, "1" * 43, "2" * 43}


async def test_the_last_reading_is_known_until_it_tells_nothing_any_more(engine: AsyncEngine, clock: Clock) -> None:
    notices = Notices(engine, clock)
    none = await notices.reading("r")
    done = Reading(clock() + timedelta(seconds=60), clock() + timedelta(days=14))
    await notices.put_reading("r", Reading(clock(), clock() + timedelta(days=13)))
    await notices.put_reading("r", done)
    await notices.note([FIRST])
    await notices.forget_old()
    standing = await notices.reading("r")
    clock.pass_(KEPT.total_seconds() + 120)
    await notices.forget_old()

    assert none is None
    assert standing == done
    assert await notices.reading("r") is None
    assert await notices.known([VISIT], REMINDERS) == {}
