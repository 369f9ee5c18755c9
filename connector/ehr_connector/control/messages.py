"""What the operator is told of an organisation's messages: which wait, and whose texts do not arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import HeldMessages as HeldMessagesOfReason
from ehr_api.control import MessagesReport, NumberTrouble
from ehr_connector.store.held_messages import HeldMessages
from ehr_connector.store.number_troubles import NumberTroubles


class MessagesReports:
    """Makes the reports, from what workers have written down."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._held = HeldMessages(engine, now)
        self._troubles = NumberTroubles(engine, now)

    async def report(self, namespace: str, name: str) -> MessagesReport:
        """Return what is to be told of an organisation."""
        held = await self._held.of(namespace, name)
        troubles = await self._troubles.of(namespace, name)
        return MessagesReport(
            held=[HeldMessagesOfReason(reason=reason, messages=count) for reason, count in held.items()],
            troubles=[NumberTrouble(number=one.number, code=one.code, since=one.since) for one in troubles],
        )
