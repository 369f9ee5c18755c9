"""The connector's Teams meetings on a database of their own, over TLS, with the simulator of Graph beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contract.connector.running import Document, organization
from contract.graph_stand_in.running import CLIENT, ORGANIZER, SECRET, TENANT, GraphStandIn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import OrganizationConfiguration
from ehr_connector.background import going_on
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.database import open_database
from ehr_connector.store.events import Events
from ehr_connector.store.migrate import migrate
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.subscriptions import Subscriptions
from ehr_connector.store.visits import Meeting, VisitRow, Visits
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.events import VisitEvent
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

SECOND_ORGANIZER = "5e0f3a10-0000-4000-8000-000000000012"


def microsoft365(**changes: Any) -> dict[str, Any]:
    """The simulator's example tenant, as an organisation names it."""
    usual: dict[str, Any] = {
        "tenantID": TENANT,
        "clientID": CLIENT,
        "meetingOrganizers": [ORGANIZER],
        "patientJoin": "Browser",
    }
    return usual | changes


def teams_document(**changes: Any) -> Document:
    """An organisation in the simulator's example tenant."""
    return organization(microsoft365=microsoft365(**changes))


@dataclass
class TeamsUnderTest:
    """What a test looks at."""

    teams: Teams
    visits: Visits
    events: Events
    rows: Subscriptions
    organizations: Organizations
    secret_keys: SecretKeys
    metrics: Metrics
    engine: AsyncEngine
    organization: OrganizationConfiguration
    url: str = ""
    told: list[tuple[str, VisitEvent]] = field(default_factory=list[tuple[str, VisitEvent]])
    """What followed, each event once."""
    failing: list[Exception] = field(default_factory=list[Exception])
    """With what the next attempts at what follows fail."""

    async def visit(self, appointment: str = "1", *, starts_in: timedelta = timedelta(minutes=10)) -> VisitRow:
        """Record a visit of half an hour."""
        starts = (datetime.now(UTC) + starts_in).replace(microsecond=0)
        row = VisitRow(
            visit=self.secret_keys.name("visit", appointment),
            namespace=self.organization.namespace,
            name=self.organization.name,
            endpoint="lamna-test",
            environment="Test",
            profile_digest=f"sha256:{'0' * 64}",
            department="cardiology",
            kind="patient",
            starts_at=starts,
            ends_at=starts + timedelta(minutes=30),
        )
        return await self.visits.put(row)

    async def ensured(self, row: VisitRow, *co_organizers: str) -> Meeting:
        """Have the meeting of a visit."""
        return await self.teams.meetings.ensure(self.organization, row, co_organizers)

    async def again(self, row: VisitRow) -> VisitRow:
        """Return the visit as it is stored now."""
        found = await self.visits.get(row.visit)
        assert found is not None
        return found

    async def configure(self, **changes: Any) -> None:
        """Configure the organisation in another way."""
        document = teams_document(**changes) | {"publicURL": self.url}
        self.organization = OrganizationConfiguration.model_validate(document)
        standing = await self.organizations.get(self.organization.namespace, self.organization.name)
        await self.organizations.put(self.organization, Precondition(standing.digest if standing else None))

    def count(self, name: str, **labels: str) -> float:
        """Return what a counter shows."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.02)


async def control(graph: GraphStandIn, method: str, path: str, body: Any = None) -> Any:
    """Use a control of the simulator, and return its answer."""
    answer = await graph.http.request(method, f"/_sandbox/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def settings_of(graph: GraphStandIn, ca: LocalCA, keys_dir: Path, database_url: str, **changes: Any) -> Settings:
    """The settings of a connector beside the simulator."""
    secret = keys_dir / "client-secret"
    secret.write_text(SECRET)
    usual: dict[str, Any] = {
        "database_url": database_url,
        "geography": "Americas",
        "keys_dir": keys_dir,
        "control_issuer": "https://issuer.example",
        "ca_file": ca.ca_file,
        "graph_url": graph.url,
        "entra_authority": graph.url,
        "entra_instance_discovery": False,
        "graph_credential": f"client-secret:{secret}",
        "notification_token_issuer": f"{graph.url}/{{tenant}}/",
    }
    return Settings.model_validate(usual | changes)


@asynccontextmanager
async def running_teams(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, database_url: str, **changes: Any
) -> AsyncGenerator[TeamsUnderTest]:
    """Run the connector's Teams meetings until the block ends."""
    settings = settings_of(graph, ca, keys_dir, database_url, **changes)
    engine = open_database(database_url)
    await migrate(engine)

    def now() -> datetime:
        return datetime.now(UTC)

    visits, events, organizations = Visits(engine, now), Events(engine, now), Organizations(engine, now)
    secret_keys, metrics = SecretKeys(keys_dir, now), Metrics()
    told: list[tuple[str, VisitEvent]] = []

    failing: list[Exception] = []

    async def on_told(visit: VisitRow, events: Sequence[VisitEvent]) -> None:
        if failing:
            raise failing.pop()
        told.extend((visit.visit, event) for event in events if (visit.visit, event) not in told)

    teams = Teams(
        settings,
        engine,
        visits=visits,
        events=events,
        directory=Directory(organizations, asyncio.get_running_loop().time),
        secret_keys=secret_keys,
        metrics=metrics,
        now=now,
        on_told=on_told,
    )
    under_test = TeamsUnderTest(
        teams=teams,
        visits=visits,
        events=events,
        rows=Subscriptions(engine, now),
        organizations=organizations,
        secret_keys=secret_keys,
        metrics=metrics,
        engine=engine,
        organization=OrganizationConfiguration.model_validate(teams_document()),
        told=told,
        failing=failing,
    )
    app = FastAPI()
    app.include_router(teams.notifications.router())
    chain, key = ca.server_certificate("teams", "localhost", "127.0.0.1")
    try:
        async with serve(app, ssl_certfile=chain, ssl_keyfile=key) as under_test.url:
            await under_test.configure()
            async with going_on({**teams.web_works(), **teams.worker_works()}):
                yield under_test
    finally:
        await teams.aclose()
        await engine.dispose()


def moved(row: VisitRow, **by: float) -> VisitRow:
    """Return a visit at another time."""
    delta = timedelta(**by)
    return replace(row, starts_at=row.starts_at + delta, ends_at=row.ends_at + delta)
