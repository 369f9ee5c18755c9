"""What is pushed to the clinician's pages: the live status of their visits, and before the sign-in that it is done.

Which visits a board shows travels with the address of its stream, so that a stream that is opened again asks the EHR nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sse_starlette import ServerSentEvent

from ehr_connector.clinician.board import Board, Boards
from ehr_connector.clinician.shared_reads import SharedReads
from ehr_connector.clinician.waiting import SignIns
from ehr_connector.directory import Site
from ehr_connector.launch.sealed import Sealed, Sealer
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.visits.live import Live
from ehr_connector.web.locales import Language
from ehr_connector.web.views import StatusView

PING_S = 15
_READS_AT_ONCE = 4
"""Of all streams together; who clicks something finds connections left."""
_LIFE_S = 3600
"""A browser connects again by itself; this ends streams that nobody reads any more."""
RELOAD = ServerSentEvent("{}", event="reload")


class Shown(Sealed):
    """What a board shows. It is sealed for one session in one browser."""

    visits: tuple[str, ...]
    changes: int
    """How often they had been moved or cancelled."""
    until: float | None
    """When the first of them opens or closes, as seconds of the epoch: the page is another one from then on."""


class Streams:
    """Gives the events of each sort of stream."""

    def __init__(
        self, boards: Boards, live: Live, sign_ins: SignIns, shown: Sealer[Shown], now: Callable[[], datetime]
    ) -> None:
        self._reads = SharedReads(boards.seen, at_once=_READS_AT_ONCE)
        self._live = live
        self._sign_ins = sign_ins
        self._shown = shown
        self._now = now

    def seal(self, board: Board, session: str, browser: str | None) -> str:
        """Return what the address of a board's stream carries."""
        shown = Shown(
            visits=tuple(one.visit for one in board.visits),
            changes=sum(one.changes for one in board.visits),
            until=min((one.until.timestamp() for one in board.visits if one.until is not None), default=None),
        )
        return self._shown.seal(shown, f"{session} {browser}")

    def open(self, text: str, session: str, browser: str | None) -> Shown:
        """Return what the board shows.

        Raises:
            SealedError: It is of another page.
        """
        return self._shown.open(text, f"{session} {browser}")

    async def statuses(
        self, site: Site, session: ClinicianSession, shown: Shown, language: Language
    ) -> AsyncGenerator[ServerSentEvent]:
        """Give the status of each visit, and again whenever it changes, until the page itself has to be another one."""
        zone = site.endpoint.appointments.time_zone
        changes: dict[str, int] = {}
        with self._live.watch(shown.visits) as watch:
            changed, ends = set(shown.visits), min(self._ends(session), shown.until or session.ends)
            while (left := ends - self._now().timestamp()) > 0:
                unread: set[str] = set()
                for visit in changed:
                    try:
                        status, changes[visit] = await self._reads.read(visit)
                    except (SQLAlchemyError, OSError):
                        # What is shown stays. The log's reader tells every page when it can read again; a failure that it did not
                        # meet is looked at after a while.
                        unread.add(visit)
                    else:
                        yield _status(visit, StatusView.of(status, language, zone))
                if not unread and sum(changes.values()) != shown.changes:
                    yield RELOAD
                    return
                changed = unread | await watch.changed(min(PING_S, left))
        if self._now().timestamp() >= min(session.ends, shown.until or session.ends):
            yield RELOAD

    async def signed_in(self, site: Site, session: ClinicianSession) -> AsyncGenerator[ServerSentEvent]:
        """Tell once that the clinician has signed in to Microsoft."""
        user = (site.base_url, session.user, site.organization.microsoft365.tenant_id)
        with self._sign_ins.awaited(user) as done:
            ends = self._ends(session)
            while self._now().timestamp() < ends:
                try:
                    async with asyncio.timeout(PING_S):
                        await done.wait()
                except TimeoutError:
                    continue
                yield ServerSentEvent("{}", event="signed-in")
                return
        if self._now().timestamp() >= session.ends:
            yield RELOAD

    def _ends(self, session: ClinicianSession) -> float:
        return min(self._now().timestamp() + _LIFE_S, session.ends)


def _status(visit: str, view: StatusView) -> ServerSentEvent:
    return ServerSentEvent(json.dumps({"visit": visit, **view.to_json()}), event="status")


async def reloading() -> AsyncGenerator[ServerSentEvent]:
    """Let the page be fetched again: it says why nothing is shown any more, and listens to nothing."""
    yield RELOAD
