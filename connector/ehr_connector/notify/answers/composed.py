"""The reading of answers, put together; built once by the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.http import tls_context
from ehr_connector.background import Work
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.answers.help_desk import HelpDesk, Pace
from ehr_connector.notify.answers.queue import AnswerQueue
from ehr_connector.notify.answers.reader import Answers
from ehr_connector.notify.provider import Providers
from ehr_connector.settings import Role, Settings
from ehr_connector.store.deliveries import Deliveries
from ehr_connector.store.number_troubles import NumberTroubles
from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.rates import Rates


class AnswerParts:
    """What reads the queue of answers, where the settings name one."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        *,
        directory: Directory,
        providers: Providers,
        secret: SecretKeys,
        metrics: Metrics,
        pace: Pace,
        now: Callable[[], datetime],
    ) -> None:
        """Open the queue.

        Raises:
            CredentialError: The queue's address has no signature, and the pod no identity.
        """
        self._deliveries = Deliveries(engine, now)
        self._opt_outs = OptOuts(engine, now)
        self._queue: AnswerQueue | None = None
        self._answers: Answers | None = None
        if settings.events_queue_url is None or settings.role is Role.WEB:
            return
        self._queue = AnswerQueue(
            settings.events_queue_url,
            tls_context(settings.ca_file),
            entra_authority=settings.entra_authority,
            entra_instance_discovery=settings.entra_instance_discovery,
            environment=os.environ,
        )
        self._answers = Answers(
            queue=self._queue.queue,
            directory=directory,
            deliveries=self._deliveries,
            opt_outs=self._opt_outs,
            troubles=NumberTroubles(engine, now),
            help_desk=HelpDesk(
                providers=providers,
                allow_lists=AllowLists(settings.test_recipients_dir),
                opt_outs=self._opt_outs,
                rates=Rates(engine, now),
                secret=secret,
                pace=pace,
                now=now,
            ),
            secret=secret,
            metrics=metrics,
            now=now,
        )

    def worker_works(self) -> Mapping[str, Work]:
        """Return the work of which some process must do each piece."""
        return {"read answers": self._answers.run} if self._answers is not None else {}

    async def tidy(self) -> None:
        """Forget what is over."""
        await self._deliveries.give_up_tries()
        await self._opt_outs.forget_opted_in()

    async def aclose(self) -> None:
        """Close the connections to the queue."""
        if self._queue is not None:
            await self._queue.aclose()
