"""To which addresses the operator sends its credentials."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.control import Control
from ehr_operator.remotes import HttpRemotes, UntrustedUrlError

LISTED = "https://connector.lamna.example:8443"


@pytest.fixture
async def remotes() -> AsyncGenerator[HttpRemotes]:
    async with httpx.AsyncClient() as http:
        yield HttpRemotes(trusted_urls=(LISTED,), control_http=http, communication_http=http)


@pytest.mark.parametrize("url", [LISTED, f"{LISTED}/", f"{LISTED}/any/path", "https://CONNECTOR.lamna.example:8443"])
def test_a_listed_origin_is_trusted_whatever_its_path(url: str, remotes: HttpRemotes) -> None:
    assert isinstance(remotes.control(url), Control)
    assert isinstance(remotes.phone_numbers(url), PhoneNumbers)


@pytest.mark.parametrize(
    "url",
    [
        "https://connector.lamna.example",
        "https://connector.lamna.example:443",
        "http://connector.lamna.example:8443",
        "https://connector.lamna.example.attacker.example:8443",
        "https://connector.lamna.example:8443@attacker.example",
        "https://attacker.example/?https://connector.lamna.example:8443",
    ],
)
def test_any_other_origin_is_refused_with_the_setting_that_would_allow_it(url: str, remotes: HttpRemotes) -> None:
    for build in (remotes.control, remotes.phone_numbers):
        with pytest.raises(UntrustedUrlError, match="EHR_OPERATOR_TRUSTED_URLS"):
            build(url)


@pytest.mark.parametrize(
    "endpoint",
    ["https://lamna.unitedstates.communication.azure.com", "https://lamna.usgov.communication.azure.us/"],
)
def test_numbers_of_azure_itself_are_trusted_unlisted(endpoint: str, remotes: HttpRemotes) -> None:
    assert isinstance(remotes.phone_numbers(endpoint), PhoneNumbers)
    with pytest.raises(UntrustedUrlError):
        remotes.control(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://communication.azure.com",
        "https://evilcommunication.azure.com",
        "https://lamna.communication.azure.com.attacker.example",
        "https://lamna.communication.azure.com@attacker.example",
        "https://attacker.example/x.communication.azure.com",
        "https://attacker.example#.communication.azure.com",
    ],
)
def test_an_address_that_only_looks_like_azure_is_refused(endpoint: str, remotes: HttpRemotes) -> None:
    with pytest.raises(UntrustedUrlError):
        remotes.phone_numbers(endpoint)


@pytest.mark.parametrize(
    "url", ["http://lamna.unitedstates.communication.azure.com", "https://lamna.example:99999"], ids=["http", "port"]
)
def test_an_address_without_tls_or_with_a_port_that_is_none_is_not_trusted(url: str, remotes: HttpRemotes) -> None:
    with pytest.raises(UntrustedUrlError):
        remotes.phone_numbers(url)
