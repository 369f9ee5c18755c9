"""To whom the connector's credential goes, and what it takes."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import pytest

from ehr_connector.notify.provider import ProviderError, Providers

Make = Callable[..., Providers]
KEY = base64.b64encode(b"an access key").decode()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncGenerator[Make]:
    """Makes providers, and closes them afterwards."""
    made: list[Providers] = []
    (tmp_path / "key").write_text(KEY)

    def providers(credential: str | None = f"file:{tmp_path / 'key'}", **environment: str) -> Providers:
        trusted = ("https://acs.lamna.example:8443", "https://other.lamna.example")
        made.append(_providers(credential, trusted, environment))
        return made[-1]

    yield providers
    for one in made:
        await one.aclose()


def _providers(credential: str | None, trusted: tuple[str, ...], environment: Mapping[str, str]) -> Providers:
    return Providers(
        credential,
        trusted,
        ssl.create_default_context(),
        entra_authority="https://login.microsoftonline.com",
        entra_instance_discovery=False,
        environment=environment,
    )


@pytest.mark.parametrize(
    ("endpoint", "served"),
    [
        ("https://lamna.unitedstates.communication.azure.com", True),
        ("https://lamna.communication.azure.us/", True),
        ("https://acs.lamna.example:8443", True),
        ("https://other.lamna.example:443", True),
        ("http://lamna.communication.azure.com", False),
        ("https://acs.lamna.example", False),
        ("https://communication.azure.com.evil.example", False),
        ("https://evil.example/.communication.azure.com", False),
        ("https://lamna.communication.azure.com@evil.example", False),
        ("https://acs.lamna.example:port", False),
        (None, False),
    ],
)
async def test_the_credential_goes_to_azure_and_to_what_is_listed(
    make: Make, endpoint: str | None, served: bool
) -> None:
    assert make().serves(endpoint) is served


async def test_an_address_that_is_not_trusted_has_no_client(make: Make) -> None:
    with pytest.raises(ProviderError, match=r"evil\.example"):
        make().sms("https://evil.example")


async def test_without_a_credential_nothing_is_served(make: Make) -> None:
    assert not make(None).serves("https://lamna.communication.azure.com")


async def test_a_workload_identity_needs_what_azures_webhook_sets(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE"):
        make("workload-identity", AZURE_TENANT_ID="t")

    complete = make(
        "workload-identity",
        AZURE_TENANT_ID="t",
        AZURE_CLIENT_ID="c",
        AZURE_FEDERATED_TOKEN_FILE=str(tmp_path / "token"),
    )
    assert complete.serves("https://lamna.communication.azure.com")


@pytest.mark.parametrize("content", [None, "not base64!"])
async def test_an_access_key_that_is_none_is_refused_without_being_shown(
    make: Make, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ProviderError, match="must hold the access key") as refused:
        make(f"file:{path}")
    assert content is None or content not in str(refused.value)
