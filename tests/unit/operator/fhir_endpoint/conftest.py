"""Fixtures: the kind FhirEndpoint with an EHR, a connector and a cluster around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from unit.operator.fhir_endpoint.ehr import System


@pytest.fixture
async def system() -> AsyncGenerator[System]:
    system = System()
    yield system
    await system.connector.aclose()
