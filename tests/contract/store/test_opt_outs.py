"""Who wants no messages: what was asked last holds, in whatever order it is told."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from contract.store.conftest import Clock
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.schema import opt_out
from ehr_connector.store.sends import Sends

PHONE, OTHER = "p" * 43, "q" * 43


async def test_an_opt_out_holds_until_it_is_taken_back(engine: AsyncEngine, clock: Clock) -> None:
    ledger, sends = OptOuts(engine, clock), Sends(engine, clock)
    seen = [await sends.is_opted_out(PHONE)]
    for _ in range(2):
        await ledger.opt_out(PHONE)
    seen.append(await sends.is_opted_out(PHONE))
    clock.pass_(1)
    await ledger.opt_in(PHONE)
    seen += [await sends.is_opted_out(PHONE), await sends.is_opted_out(OTHER)]
    assert seen == [False, True, False, False]


@pytest.mark.parametrize("order", [*itertools.permutations(["out 1", "in 2", "out 3"])], ids=", ".join)
async def test_the_last_wish_holds_in_whatever_order_and_however_often_it_is_told(
    engine: AsyncEngine, clock: Clock, order: tuple[str, ...]
) -> None:
    ledger, began = OptOuts(engine, clock), clock()
    for wish, number in (told.split() for told in order + order):
        at = began + timedelta(seconds=int(number))
        await (ledger.opt_out(PHONE, at) if wish == "out" else ledger.opt_in(PHONE, at))
    assert await ledger.holds(PHONE)
    await ledger.opt_in(PHONE, began + timedelta(seconds=4))
    assert not await ledger.holds(PHONE)


async def test_a_stop_that_is_told_after_a_later_start_changes_nothing(engine: AsyncEngine, clock: Clock) -> None:
    ledger, began = OptOuts(engine, clock), clock()
    await ledger.opt_in(PHONE, began + timedelta(seconds=2))
    await ledger.opt_out(PHONE, began + timedelta(seconds=1))
    assert not await ledger.holds(PHONE)


async def test_both_wishes_at_one_time_count_as_stop(engine: AsyncEngine, clock: Clock) -> None:
    ledger = OptOuts(engine, clock)
    await ledger.opt_in(PHONE, clock())
    await ledger.opt_out(PHONE, clock())
    assert await ledger.holds(PHONE)


async def test_who_wants_messages_again_is_forgotten_and_who_wants_none_never(
    engine: AsyncEngine, clock: Clock
) -> None:
    ledger = OptOuts(engine, clock)
    await ledger.opt_in(PHONE)
    await ledger.opt_out(OTHER)

    async def rows() -> int:
        async with engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(opt_out))).scalar_one()

    clock.pass_(7 * 86400)
    await ledger.forget_opted_in()
    before = await rows()
    clock.pass_(400 * 86400)
    await ledger.forget_opted_in()
    assert (before, await rows()) == (2, 1)
    assert await ledger.holds(OTHER)
