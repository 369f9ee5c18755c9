"""The operator's probes against the stand-in of Oracle's EHR, which is held to what Millennium itself serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from contract.operator_probes.conftest import LOOPBACK
from contract.operator_probes.test_conditions import blamed, judged

from ehr_api.conditions import Type
from ehr_clients.guard import system_resolve
from ehr_clients.http import tls_context
from ehr_operator.fhir_endpoint.probes import EhrProbes
from ehr_operator.fhir_endpoint.verdicts import WARNINGS
from ehr_sandbox.cerner.app import create_app
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT = "5f3c2a10-0000-4000-8000-000000000001"
UNKNOWN_TENANT = "5f3c2a10-0000-4000-8000-000000000009"


@pytest.fixture
async def cerner(tmp_path: Path) -> AsyncGenerator[tuple[EhrProbes, str]]:
    """Probes, and the origin of the running stand-in."""
    ca = LocalCA.create(tmp_path / "ca")
    chain, key = ca.server_certificate("cerner", "127.0.0.1")
    app = create_app(CernerSettings(tenants=frozenset({TENANT})))
    async with AsyncExitStack() as resources:
        origin = await resources.enter_async_context(serve(app, ssl_certfile=chain, ssl_keyfile=key))
        yield EhrProbes(tls_context(ca.ca_file), LOOPBACK, system_resolve), origin


async def test_millennium_passes_every_check_without_a_warning(cerner: tuple[EhrProbes, str]) -> None:
    probes, origin = cerner
    found = await judged(probes, f"{origin}/r4/{TENANT}")
    assert {one.type: one.message for one in found.values() if one.status != "True"} == {}
    assert not [one.reason for one in found.values() if one.reason in WARNINGS]


async def test_an_unknown_tenant_is_told_from_an_unknown_path(cerner: tuple[EhrProbes, str]) -> None:
    probes, origin = cerner
    assert blamed(await judged(probes, f"{origin}/r4/{UNKNOWN_TENANT}")) == (Type.METADATA_OK, "TenantRefused")
    assert blamed(await judged(probes, f"{origin}/fihr/{TENANT}")) == (Type.METADATA_OK, "NotFound")


async def test_a_dstu2_address_is_refused_by_name(cerner: tuple[EhrProbes, str]) -> None:
    probes, origin = cerner
    found = await judged(probes, f"{origin}/dstu2/{TENANT}")
    assert blamed(found) == (Type.METADATA_OK, "Dstu2Server")
    assert "DSTU2" in found[Type.METADATA_OK].message
