"""The tokens of a real cluster open the control API for the operator and for nobody else."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ehr_connector.app import create_app
from ehr_connector.keys.make import new_keys
from ehr_connector.settings import Settings
from ehr_sandbox.control_plane.cluster import ControlPlane

OPERATOR, SOMEBODY, AUDIENCE = "ehr-operator", "default", "ehr-connector"
PATH = "/control/v1/organizations/lamna/lamna/configuration"
LIFE_S = 600


@dataclass
class Connector:
    """A connector that believes the cluster, and the cluster."""

    http: httpx.AsyncClient
    cluster: ControlPlane
    namespace: str

    async def status(self, token: str) -> int:
        """Show a token and return the status of the answer; 404 when it is let in, as nothing is configured."""
        return (await self.http.get(PATH, headers={"Authorization": f"Bearer {token}"})).status_code

    async def token(self, *, account: str = OPERATOR, audience: str | None = AUDIENCE) -> str:
        """Mint a token."""
        return await self.cluster.mint_token(self.namespace, account, audience, LIFE_S)


@pytest.fixture
def operator_account(control_plane: ControlPlane, namespace: str) -> str:
    """The subject of the operator's tokens; its service account stands in the test's namespace."""
    kubectl = [control_plane.kubectl, f"--kubeconfig={control_plane.kubeconfig}", f"--namespace={namespace}"]
    for account in (OPERATOR, SOMEBODY):
        # The controllers make `default` too, sometimes a moment before, sometimes a moment after.
        subprocess.run([*kubectl, "create", "serviceaccount", account], check=account == OPERATOR, capture_output=True)
    return f"system:serviceaccount:{namespace}:{OPERATOR}"


@pytest.fixture
async def connector(
    control_plane: ControlPlane, namespace: str, operator_account: str, tmp_path: Path
) -> AsyncGenerator[Connector]:
    new_keys(tmp_path / "keys", datetime.now(UTC) - timedelta(days=1))
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}",
            "geography": "Americas",
            "keys_dir": tmp_path / "keys",
            "control_issuer": control_plane.server_url,
            "control_ca_file": control_plane.ca_file,
            "control_subject": operator_account,
        }
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://visits.lamna.example") as http,
    ):
        yield Connector(http, control_plane, namespace)


async def test_the_operators_token_for_the_connector_is_accepted(connector: Connector) -> None:
    assert await connector.status(await connector.token()) == 404


async def test_the_operators_token_for_the_api_server_is_refused(connector: Connector) -> None:
    assert await connector.status(await connector.token(audience=None)) == 401


async def test_the_operators_token_for_another_program_is_refused(connector: Connector) -> None:
    assert await connector.status(await connector.token(audience="another-program")) == 401


async def test_the_token_of_another_service_account_is_refused(connector: Connector) -> None:
    assert await connector.status(await connector.token(account=SOMEBODY)) == 403


async def test_a_token_whose_claims_were_changed_is_refused(connector: Connector) -> None:
    header, claims, signature = (await connector.token(account=SOMEBODY)).split(".")
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    content["sub"] = f"system:serviceaccount:{connector.namespace}:{OPERATOR}"
    forged = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    assert await connector.status(f"{header}.{forged}.{signature}") == 401
