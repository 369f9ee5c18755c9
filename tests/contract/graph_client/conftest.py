"""Our clients of Entra and Graph, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from contract.graph_stand_in.running import SECRET, Clock, GraphStandIn, Starter

from ehr_clients.entra.applications import Applications
from ehr_clients.entra.credentials import ClientSecret, Credential
from ehr_clients.entra.sign_in import PersonSignIn
from ehr_clients.entra.tokens import AppTokens
from ehr_clients.http import tls_context
from ehr_sandbox.local_ca import LocalCA

SCOPE = "https://graph.microsoft.com/.default"
MakeApplications = Callable[..., Applications]


@pytest.fixture(scope="session")
def graph_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    return LocalCA.create(tmp_path_factory.mktemp("graph-ca"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def resources() -> AsyncGenerator[AsyncExitStack]:
    async with AsyncExitStack() as resources:
        yield resources


@pytest.fixture
def start_graph(clock: Clock, graph_ca: LocalCA, resources: AsyncExitStack) -> Starter:
    return Starter(clock, graph_ca, resources)


@pytest.fixture
async def graph(start_graph: Starter) -> GraphStandIn:
    return await start_graph()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "client-secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def applications_of(secret_file: Path, resources: AsyncExitStack) -> MakeApplications:
    """Make a client of a simulator, which is closed at the end."""

    def make(graph: GraphStandIn, credential: Credential | None = None, timeout_s: float = 20.0) -> Applications:
        made = Applications(
            graph.url,
            credential=credential or ClientSecret(secret_file),
            instance_discovery=False,
            tls=tls_context(graph.ca.ca_file),
            timeout_s=timeout_s,
        )
        resources.push_async_callback(made.close)
        return made

    return make


@pytest.fixture
def applications(graph: GraphStandIn, applications_of: MakeApplications) -> Applications:
    return applications_of(graph)


@pytest.fixture
def tokens(applications: Applications) -> AppTokens:
    return AppTokens(applications, SCOPE)


@pytest.fixture
def sign_in(applications: Applications) -> PersonSignIn:
    return PersonSignIn(applications)
