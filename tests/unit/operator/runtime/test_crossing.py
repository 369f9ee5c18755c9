"""What the watch's thread brings reaches the loop that reconciles, and does not hold it."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from ehr_operator.runtime import crossing as crossing_module
from ehr_operator.runtime.crossing import Crossing


async def test_calls_of_a_thread_are_all_made_in_order() -> None:
    made: list[int] = []
    crossing = Crossing(asyncio.get_running_loop())

    def bring() -> None:
        for number in range(5000):
            crossing.put(partial(made.append, number))

    thread = threading.Thread(target=bring)
    thread.start()
    while len(made) < 5000:  # noqa: ASYNC110 (a thread makes progress)
        await asyncio.sleep(0)
    thread.join()

    assert made == list(range(5000))


async def test_between_many_calls_others_have_their_turn() -> None:
    made: list[str] = []
    crossing = Crossing(asyncio.get_running_loop())
    for _ in range(10 * crossing_module._AT_ONCE):
        crossing.put(partial(made.append, "brought"))

    turns = 0
    while len(made) < 10 * crossing_module._AT_ONCE:
        await asyncio.sleep(0)
        turns += 1

    assert turns >= 10


async def test_a_call_that_fails_takes_no_other_along() -> None:
    made: list[str] = []
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    crossing = Crossing(loop)

    crossing.put(lambda: 1 / 0)
    for _ in range(30):
        crossing.put(partial(made.append, "brought"))
    for _ in range(100):
        await asyncio.sleep(0)

    assert made == ["brought"] * 30
    assert [type(one["exception"]) for one in told] == [ZeroDivisionError]


async def test_what_comes_after_the_end_of_the_loop_is_left() -> None:
    loop = asyncio.new_event_loop()
    crossing = Crossing(loop)
    loop.close()

    crossing.put(lambda: None)
