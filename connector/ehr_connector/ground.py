"""What every part that deals with visits is built on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.guard import Resolve
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.events import Events
from ehr_connector.store.visits import Visits


@dataclass(frozen=True, slots=True)
class Ground:
    """What visits stand on."""

    settings: Settings
    engine: AsyncEngine
    directory: Directory
    signing_keys: SigningKeys
    secret_keys: SecretKeys
    visits: Visits
    events: Events
    metrics: Metrics
    now: Callable[[], datetime]
    resolve: Resolve
