"""An open page keeps its stream, whatever becomes of the database."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sse_starlette import ServerSentEvent

from ehr_connector.clinician import streams as streams_module
from ehr_connector.clinician.streams import Shown, Streams
from ehr_connector.visits.events import Stage, Status
from ehr_connector.visits.live import Live
from ehr_connector.web.locales import Locales

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GONE = OperationalError("SELECT", None, Exception("gone"))


class Boards:
    """The status of visits, of which some cannot be read for a time."""

    def __init__(self, failures: dict[str, list[Exception]]) -> None:
        self._failures = failures

    async def seen(self, visit: str) -> tuple[Status, int]:
        """Return one that says that the link was sent, and one move."""
        if self._failures.get(visit):
            raise self._failures[visit].pop()
        return Status(Stage.LINK_SENT, NOON), 1


def stream(boards: Boards, *visits: str) -> AsyncGenerator[ServerSentEvent]:
    """The stream of a board that was shown after each of its visits was moved once."""
    untyped: Any = boards
    unused: Any = None
    site: Any = SimpleNamespace(endpoint=SimpleNamespace(appointments=SimpleNamespace(time_zone="UTC")))
    session: Any = SimpleNamespace(ends=(NOON + timedelta(hours=1)).timestamp())
    shown = Shown(visits=visits, changes=len(visits), until=None)
    made = Streams(untyped, Live(unused), unused, unused, lambda: NOON)
    return made.statuses(site, session, shown, Locales().choose("en", None))


@pytest.mark.parametrize("failure", [GONE, OSError("no connection")], ids=["database", "network"])
async def test_a_status_that_cannot_be_read_for_a_time_is_told_on_the_same_stream_later(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "PING_S", 0.01)
    boards = Boards({"second": [failure, failure]})
    async with aclosing(stream(boards, "first", "second")) as events:
        told = [json.loads(str((await anext(events)).data)) for _ in range(2)]

    assert [(one["visit"], one["stage"]) for one in told] == [("first", "link_sent"), ("second", "link_sent")]
