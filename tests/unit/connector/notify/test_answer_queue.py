"""The queue of answers is opened as its address says, and its signature is a secret."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from ehr_clients.entra.credentials import CredentialError
from ehr_connector.notify.answers.queue import AnswerQueue
from ehr_connector.settings import Settings

URL = "https://lamna.queue.core.windows.net/acs-events"
SIGNED = f"{URL}?sv=2021&sig=c2VjcmV0"


def opened(url: str, **environment: str) -> AnswerQueue:
    return AnswerQueue(
        url,
        ssl.create_default_context(),
        entra_authority="https://login.microsoftonline.com",
        entra_instance_discovery=False,
        environment=environment,
    )


async def test_a_signed_address_needs_no_identity() -> None:
    await opened(SIGNED).aclose()


def test_an_address_without_a_signature_needs_the_pods_identity_and_says_what_is_missing() -> None:
    with pytest.raises(CredentialError, match="AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE"):
        opened(URL, AZURE_TENANT_ID="t")


async def test_an_address_without_a_signature_is_opened_with_the_pods_identity(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("federated")
    identity = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token")}
    await opened(URL, **identity).aclose()


def settings(url: str, keys: Path) -> Settings:
    return Settings.model_validate(
        {
            "geography": "Europe",
            "keys_dir": keys,
            "control_issuer": "https://issuer.example",
            "events_queue_url": url,
        }
    )


@pytest.mark.parametrize("url", [URL, SIGNED, "http://127.0.0.1:10001/devstoreaccount1/acs-events?sig=x"])
def test_an_address_is_of_https_or_of_this_machine_and_never_shown(url: str, tmp_path: Path) -> None:
    found = settings(url, tmp_path)
    assert found.events_queue_url == url
    assert url not in repr(found)


@pytest.mark.parametrize("url", ["http://lamna.example/q", "http://127.0.0.1.evil.example/q", "lamna.example/q"])
def test_an_address_that_would_tell_a_token_to_everybody_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="events_queue_url"):
        settings(url, tmp_path)
