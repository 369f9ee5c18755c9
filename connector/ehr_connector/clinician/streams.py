"""What is pushed to the clinician's pages: the live status of their visits, and before the sign-in that it is done.

Which visits a board shows travels with the address of its stream, so that a stream that is opened again asks the EHR nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime

from sse_starlette import ServerSentEvent

from ehr_connector.clinician.board import Boards
from ehr_connector.clinician.waiting import SignIns
from ehr_connector.directory import Site
from ehr_connector.launch.sealed import Sealed, Sealer
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.visits.live import Live
from ehr_connector.web.locales import Language
from ehr_connector.web.views import StatusView

PING_S = 15
_LIFE_S = 3600
"""A browser connects again by itself; this ends streams that nobody reads any more."""
RELOAD = ServerSentEvent("{}", event="reload")


class Shown(Sealed):
    """What a board shows. It is sealed for one session in one browser."""

    visits: tuple[str, ...]


class Streams:
    """Gives the events of each sort of stream."""

    def __init__(
        self, boards: Boards, live: Live, sign_ins: SignIns, shown: Sealer[Shown], now: Callable[[], datetime]
    ) -> None:
        self._boards = boards
        self._live = live
        self._sign_ins = sign_ins
        self._shown = shown
        self._now = now

    def seal(self, visits: Iterable[str], session: str, browser: str | None) -> str:
        """Return what the address of a board's stream carries."""
        return self._shown.seal(Shown(visits=tuple(visits)), f"{session} {browser}")

    def open(self, text: str, session: str, browser: str | None) -> Sequence[str]:
        """Return the visits that the board shows.

        Raises:
            SealedError: It is of another page.
        """
        return self._shown.open(text, f"{session} {browser}").visits

    async def statuses(
        self, site: Site, session: ClinicianSession, visits: Sequence[str], language: Language
    ) -> AsyncGenerator[ServerSentEvent]:
        """Give the status of each visit, and again whenever it changes."""
        zone = site.endpoint.appointments.time_zone
        with self._live.watch(visits) as watch:
            changed, ends = set(visits), self._ends(session)
            while self._now().timestamp() < ends:
                for visit in changed:
                    status = StatusView.of(await self._boards.status(visit), language, zone)
                    yield ServerSentEvent(json.dumps({"visit": visit, **status.to_json()}), event="status")
                changed = await watch.changed(PING_S)
        if self._now().timestamp() >= session.ends:
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


async def reloading() -> AsyncGenerator[ServerSentEvent]:
    """Let the page be fetched again: it says why nothing is shown any more, and listens to nothing."""
    yield RELOAD
