"""The parts of call quality, put together; built once by the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.background import Work
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.reports.quality.fetch import CallRecordWorker
from ehr_connector.store.quality import Quality
from ehr_connector.store.visits import Visits
from ehr_connector.teams.composed import Teams


class CallQuality:
    """What the rest of the connector uses of call quality."""

    def __init__(
        self,
        engine: AsyncEngine,
        teams: Teams,
        *,
        visits: Visits,
        directory: Directory,
        secret_keys: SecretKeys,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.rows = Quality(engine)
        self.fetching = CallRecordWorker(
            to_fetch=teams.call_records,
            quality=self.rows,
            visits=visits,
            directory=directory,
            access=teams.access,
            secret_keys=secret_keys,
            metrics=metrics,
            now=now,
            rest=teams.rest_from_call_records,
        )

    def worker_works(self) -> Mapping[str, Work]:
        """Return the work of which some process must do each piece."""
        return {"call records": self.fetching.run}
