"""Who is let in: with the access key, with a token, and who is not."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from contract.acs_stand_in.running import TOKEN, AcsStandIn, AcsStarter, FixedToken, on_sale

SIGNED = "x-ms-date;host;x-ms-content-sha256"
OTHER_KEY = base64.b64encode(b"the key of another resource").decode()


@dataclass(frozen=True)
class Signing:
    """How a request is signed; by itself as the vendor's page says."""

    age: timedelta = timedelta()
    key: str | None = None
    signed: str = SIGNED
    zone: str = "GMT"
    hashed: bytes = b""
    method: str = "GET"
    path: str = "/phoneNumbers?top=1&api-version=2025-06-01"

    def headers(self, acs: AcsStandIn) -> dict[str, str]:
        at = acs.settings.now() - self.age
        date = email.utils.format_datetime(at, usegmt=True).replace("GMT", self.zone)
        content_hash = base64.b64encode(hashlib.sha256(self.hashed).digest()).decode()
        text = f"{self.method}\n{self.path}\n{date};{httpx.URL(acs.url).netloc.decode()};{content_hash}"
        key = base64.b64decode(self.key or acs.settings.access_key)
        signature = base64.b64encode(hmac.new(key, text.encode(), "sha256").digest()).decode()
        return {
            "x-ms-date": date,
            "x-ms-content-sha256": content_hash,
            "Authorization": f"HMAC-SHA256 SignedHeaders={self.signed}&Signature={signature}",
        }


RIGHT = Signing()


@pytest.mark.parametrize(
    ("signing", "complaint"),
    [
        (RIGHT, None),
        (replace(RIGHT, age=timedelta(minutes=14)), None),
        (replace(RIGHT, age=timedelta(minutes=-14)), None),
        (replace(RIGHT, age=timedelta(minutes=16)), "x-ms-date is more than 15 minutes"),
        (replace(RIGHT, age=timedelta(minutes=-16)), "x-ms-date is more than 15 minutes"),
        (replace(RIGHT, zone="+0000"), "x-ms-date must be in GMT"),
        (replace(RIGHT, key=OTHER_KEY), "the signature does not match"),
        (replace(RIGHT, method="DELETE"), "the signature does not match"),
        (replace(RIGHT, path="/phoneNumbers"), "the signature does not match"),
        (replace(RIGHT, path="/phoneNumbers?api-version=2025-06-01&top=1"), "the signature does not match"),
        (replace(RIGHT, hashed=b"{}"), "x-ms-content-sha256 is not the hash of the body"),
        (replace(RIGHT, signed="host;x-ms-date;x-ms-content-sha256"), "in this order"),
    ],
    ids=[
        *("right", "slow-clock", "fast-clock", "stale", "from-the-future", "zone", "key", "method", "no-query"),
        *("query-reordered", "body", "header-order"),
    ],
)
async def test_a_signature_covers_verb_address_date_host_and_body(
    acs: AcsStandIn, signing: Signing, complaint: str | None
) -> None:
    async with httpx.AsyncClient(base_url=acs.url) as http:
        answer = await http.get("/phoneNumbers?top=1&api-version=2025-06-01", headers=signing.headers(acs))

    assert answer.status_code == (200 if complaint is None else 401)
    if complaint is not None:
        assert answer.json()["error"]["code"] == "Denied"
        assert complaint in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Bearer another", 401),
        ("Bearer", 401),
        ("Basic dXNlcjpwYXNz", 401),
        (None, 401),
    ],
    ids=["token", "lower-case", "other-token", "empty", "scheme", "none"],
)
async def test_a_token_is_let_in_when_it_is_known(acs: AcsStandIn, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx.AsyncClient(base_url=acs.url) as http:
        answer = await http.get("/phoneNumbers?api-version=2025-06-01", headers=headers)

    assert answer.status_code == status


async def test_any_token_is_let_in_where_that_was_asked_for(start_acs: AcsStarter) -> None:
    acs = await start_acs(accept_any_bearer=True)
    sdk = await acs.sdk(FixedToken("anything"))

    reservations = [found async for found in sdk.list_reservations(enforce_https=False)]

    assert reservations == []


async def test_the_vendors_client_asks_for_a_scope_with_two_slashes_and_shows_the_token(acs: AcsStandIn) -> None:
    credential = FixedToken(TOKEN)
    sdk = await acs.sdk(credential)

    found = await on_sale(sdk, enforce_https=False)

    assert found
    assert credential.scopes == ("https://communication.azure.com//.default",)


async def test_the_vendors_client_shows_no_token_without_tls(acs: AcsStandIn) -> None:
    sdk = await acs.sdk(FixedToken(TOKEN))

    with pytest.raises(ServiceRequestError, match="not permitted for non-TLS"):
        await on_sale(sdk)

    assert (await acs.control("GET", "requests"))["count"] == 0


async def test_the_vendors_client_with_the_key_is_let_in_for_every_kind_of_address(acs: AcsStandIn) -> None:
    sdk = await acs.sdk()
    (phone_number,) = await acs.own(1)

    owned = await sdk.get_purchased_phone_number(phone_number)
    codes = [
        found.area_code async for found in sdk.list_available_area_codes("US", "geographic", locality="Kansas City")
    ]

    assert owned.phone_number == phone_number
    assert codes == ["816"]


async def test_the_vendors_client_with_another_key_is_not_let_in(acs: AcsStandIn) -> None:
    sdk = await acs.sdk(AzureKeyCredential(OTHER_KEY))

    with pytest.raises(ClientAuthenticationError, match="Denied"):
        await on_sale(sdk)


async def test_an_endpoint_with_a_trailing_slash_breaks_the_vendors_signature(acs: AcsStandIn) -> None:
    sdk = await acs.sdk(endpoint=f"{acs.url}/")

    with pytest.raises(ClientAuthenticationError):
        await on_sale(sdk)


async def test_who_is_not_let_in_changes_nothing(acs: AcsStandIn) -> None:
    (phone_number,) = await acs.own(1)

    async with httpx.AsyncClient(base_url=acs.url) as http:
        answer = await http.delete(f"/phoneNumbers/{phone_number}", params={"api-version": "2025-06-01"})

    assert answer.status_code == 401
    assert (await acs.ledger())["releases"] == []
    assert (await acs.control("GET", "state"))["owned"] == [phone_number]
