"""Fixtures: the kind EHRConnectorConfig with a connector and a cluster around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from unit.operator.connector_config.connector import System


@pytest.fixture
async def system() -> AsyncGenerator[System]:
    system = System()
    yield system
    await system.http.aclose()
