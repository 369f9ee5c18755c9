"""Call quality over TLS, with the simulator of Graph beside it. Its workers work when a test says so, at a test's time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from contract.connector.teams_running import settings_of, teams_document, until
from contract.graph_stand_in.running import CLINICIAN, ORGANIZER, GraphStandIn
from fastapi import FastAPI
from sqlalchemy import Row, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import OrganizationConfiguration
from ehr_clients.graph import CALL_RECORDS
from ehr_connector.background import going_on
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.reports.quality.composed import CallQuality
from ehr_connector.store.database import open_database
from ehr_connector.store.events import Events
from ehr_connector.store.migrate import migrate
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.schema import call_quality, call_record, tenant_subscription
from ehr_connector.store.visits import Meeting, VisitRow, Visits
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.events import VisitEvent
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

PATIENT = "Zebediah Quillfeather"
LIMIT_S = 30.0
"""For what the simulator tells, on a machine that is busy."""
GRAPH_PATH = "/v1.0/communications/callRecords/"


@dataclass
class Seconds:
    """The seconds by which a directory tells how old its knowledge is."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_s


@dataclass
class Hospital:
    """One replica of the connector, with organisations and visits."""

    graph: GraphStandIn
    teams: Teams
    quality: CallQuality
    organizations: Organizations
    directory: Directory
    seconds: Seconds
    visits: Visits
    secret_keys: SecretKeys
    metrics: Metrics
    engine: AsyncEngine
    http: httpx.AsyncClient
    url: str
    ahead: timedelta = timedelta()
    """By how much this replica's clock is ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def configure(self, name: str = "lamna", **changes: Any) -> OrganizationConfiguration:
        """Configure an organisation in the simulator's tenant."""
        document = teams_document() | {"publicURL": self.url, "name": name} | changes
        if name != "lamna":
            document |= {"endpoints": []}
        configuration = OrganizationConfiguration.model_validate(document)
        standing = await self.organizations.get(configuration.namespace, configuration.name)
        await self.organizations.put(configuration, Precondition(standing.digest if standing else None))
        self.seconds.ahead_s += 1  # the directory looks at the database twice a second
        return configuration

    async def visit(self, appointment: str = "1") -> VisitRow:
        """Record a visit with its meeting."""
        made = await self.graph.meeting(self.secret_keys.name("visit", appointment))
        starts = datetime(2026, 11, 18, 3, 30, tzinfo=UTC)
        row = VisitRow(
            visit=self.secret_keys.name("visit", appointment),
            namespace="lamna",
            name="lamna",
            endpoint="lamna-test",
            environment="Test",
            profile_digest=f"sha256:{'0' * 64}",
            department="cardiology",
            kind="patient",
            starts_at=starts,
            ends_at=starts + timedelta(minutes=30),
            location="21304876",
        )
        await self.visits.put(row)
        await self.visits.set_meeting(row.visit, Meeting(ORGANIZER, made["id"], made["joinWebUrl"]))
        return row

    async def play(self, external_id: str, *, quality: str = "good", guests: int = 1) -> None:
        """Play a call of a clinician and a patient, and end it; its record is there at once."""
        await self.graph.settings(call_quality=quality)
        path = f"/_sandbox/meetings/{(await self.graph.meeting(external_id))['id']}"
        await self.graph.http.post(f"{path}/participants", json={"displayName": "Ada Okafor", "userId": CLINICIAN})
        for _ in range(guests):
            guest = (await self.graph.http.post(f"{path}/participants", json={"displayName": PATIENT})).json()
            await self.graph.http.post(f"{path}/participants/{guest['id']}/admit")
        await self.graph.http.post(f"{path}/end")

    async def subscribe(self) -> None:
        """Let this replica see to subscriptions."""
        await self.teams.tenant_subscriptions.work_once()

    async def told(self, count: int = 1) -> Sequence[Any]:
        """Wait until so many records are to be fetched."""

        async def are_there() -> bool:
            return len(await self.rows(call_record)) == count

        await until(are_there, LIMIT_S)
        return await self.rows(call_record)

    async def fetch(self) -> None:
        """Fetch what is due."""
        while await self.quality.fetching.work_once():
            pass

    async def played(self, external_id: str, **how: Any) -> None:
        """Play a call, and fetch its record once."""
        await self.play(external_id, **how)
        await self.told()
        await self.fetch()

    async def rows(self, table: Table) -> Sequence[Row[Any]]:
        """Return a table."""
        async with self.engine.connect() as connection:
            return (await connection.execute(select(table).order_by(*table.primary_key.columns))).all()

    async def legs(self) -> Sequence[Row[Any]]:
        """Return the figures that are kept."""
        return await self.rows(call_quality)

    async def subscription(self) -> Row[Any]:
        """Return the one row of a tenant."""
        (row,) = await self.rows(tenant_subscription)
        return row

    async def at_graph(self) -> Sequence[dict[str, Any]]:
        """Return the subscriptions to call records that Graph has."""
        listed = (await self.graph.call("GET", "/v1.0/subscriptions")).json()["value"]
        return [one for one in listed if one["resource"] == CALL_RECORDS]

    async def fault(self, path: str, **rule: Any) -> None:
        """Let the simulator fail."""
        answer = await self.graph.http.put("/_sandbox/faults", json=[{"path": path, **rule}])
        assert answer.is_success, answer.text

    def count(self, name: str, **labels: str) -> float:
        """Return what a counter shows."""
        return self.metrics.registry.get_sample_value(f"ehr_connector_{name}_total", labels) or 0.0


@asynccontextmanager
async def running_hospital(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, database_url: str
) -> AsyncGenerator[Hospital]:
    """Run a replica until the block ends; it takes notifications, and else does what a test has it do."""
    settings = settings_of(graph, ca, keys_dir, database_url)
    engine = open_database(database_url)
    await migrate(engine)
    hospital: Hospital | None = None

    def now() -> datetime:
        return hospital.now() if hospital else datetime.now(UTC)

    async def on_told(_visit: VisitRow, _events: Sequence[VisitEvent]) -> None:
        """Follow with nothing."""

    visits, organizations = Visits(engine, now), Organizations(engine, now)
    secret_keys, metrics = SecretKeys(keys_dir, now), Metrics()
    seconds = Seconds()
    directory = Directory(organizations, seconds)
    teams = Teams(
        settings,
        engine,
        visits=visits,
        events=Events(engine, now),
        directory=directory,
        secret_keys=secret_keys,
        metrics=metrics,
        now=now,
        on_told=on_told,
    )
    quality = CallQuality(
        engine, teams, visits=visits, directory=directory, secret_keys=secret_keys, metrics=metrics, now=now
    )
    app = FastAPI()
    app.include_router(teams.notifications.router())
    chain, key = ca.server_certificate("hospital", "localhost", "127.0.0.1")
    try:
        async with (
            serve(app, ssl_certfile=chain, ssl_keyfile=key) as url,
            httpx.AsyncClient(base_url=url, verify=ca.client_context(), trust_env=False) as http,
            going_on(teams.web_works()),
        ):
            hospital = Hospital(
                graph,
                teams,
                quality,
                organizations,
                directory,
                seconds,
                visits,
                secret_keys,
                metrics,
                engine,
                http,
                url,
            )
            await hospital.configure()
            yield hospital
    finally:
        await teams.aclose()
        await engine.dispose()
