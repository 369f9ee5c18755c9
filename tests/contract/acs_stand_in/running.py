"""A running simulator of phone numbers in which time stands still, and the clients for it."""

from __future__ import annotations

import dataclasses
import time
import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
from azure.communication.phonenumbers import AvailablePhoneNumber, PhoneNumbersReservation
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AsyncRetryPolicy

from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour
from ehr_sandbox.serving import serve

TOKEN = "token-of-the-operator"


class FixedToken:
    """A credential that always has the same token, as an Entra client that caches does."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.scopes: tuple[str, ...] = ()

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes = scopes
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close()


class AcsStandIn:
    """A running simulator."""

    def __init__(self, url: str, settings: AcsSettings, resources: AsyncExitStack) -> None:
        self.url = url
        self.settings = settings
        self._resources = resources

    async def http(self) -> httpx.AsyncClient:
        """Return a plain client with a bearer token that is let in."""
        return await self._resources.enter_async_context(
            httpx.AsyncClient(
                base_url=self.url,
                params={"api-version": "2025-06-01"},
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
        )

    async def sdk(self, credential: Any = None, *, endpoint: str | None = None) -> PhoneNumbersClient:
        """Return the vendor's client, with the access key when no credential is given; it repeats nothing by itself."""
        client = PhoneNumbersClient(
            endpoint or self.url,
            credential or AzureKeyCredential(self.settings.access_key),
            # Without its own retries: they would repeat a purchase after a 503, and hide what the service answered.
            retry_policy=AsyncRetryPolicy.no_retries(),
        )
        return await self._resources.enter_async_context(client)

    async def control(self, method: str, path: str, json: Any = None) -> Any:
        """Use a control and return its answer."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            answer = await http.request(method, f"/_sandbox/{path}", json=json)
        answer.raise_for_status()
        return answer.json()

    async def pass_time(self, **parts: float) -> None:
        """Put the service's clock forward, by the arguments of a timedelta."""
        await self.control("POST", "state", {"advance_s": timedelta(**parts).total_seconds()})

    async def ledger(self) -> dict[str, Any]:
        """Return the truth about money."""
        return await self.control("GET", "ledger")

    async def bought(self) -> list[str]:
        """Return every number that was ever bought."""
        return [entry["phoneNumber"] for entry in (await self.ledger())["purchases"]]

    async def own(self, count: int) -> list[str]:
        """Make the resource own so many numbers, and return them."""
        numbers = [f"+1800555{line:04}" for line in range(count)]
        await self.control("POST", "state", {"own": numbers})
        return numbers


class AcsStarter:
    """Starts simulators; the second one with the same state file is a restart."""

    def __init__(self, resources: AsyncExitStack) -> None:
        # Real, because the vendor's client signs with the real time; still, so that nothing ends by itself.
        self._now = datetime.now(UTC)
        self._resources = resources

    async def __call__(self, *, behaviour: dict[str, Any] | None = None, **settings: Any) -> AcsStandIn:
        """Start one in which operations end at once, unless `behaviour` says otherwise."""
        usual = AcsSettings(
            accepted_tokens=frozenset({TOKEN}),
            behaviour=Behaviour.model_validate({"operation_seconds": 0, **(behaviour or {})}),
            now=lambda: self._now,
        )
        chosen = dataclasses.replace(usual, **settings)
        url = await self._resources.enter_async_context(serve(create_app(chosen)))
        return AcsStandIn(url, chosen, self._resources)


async def on_sale(
    sdk: PhoneNumbersClient, *, country_code: str = "US", phone_number_type: str = "tollFree", **wanted: Any
) -> list[AvailablePhoneNumber]:
    """Browse by the vendor's client."""
    found = await sdk.browse_available_phone_numbers(
        country_code=country_code, phone_number_type=phone_number_type, **wanted
    )
    return found.phone_numbers


async def reserve(
    sdk: PhoneNumbersClient, *numbers: AvailablePhoneNumber, reservation_id: str | None = None
) -> PhoneNumbersReservation:
    """Put the numbers into a reservation, a new one when no id is given."""
    return await sdk.create_or_update_reservation(
        reservation_id=reservation_id or str(uuid.uuid4()), numbers_to_add=list(numbers)
    )


async def reserve_any(sdk: PhoneNumbersClient) -> str:
    """Put a number on sale into a new reservation, and return the reservation's id."""
    return id_of(await reserve(sdk, (await on_sale(sdk))[0]))


def retry_after_s(error: HttpResponseError) -> int:
    """Return what the answer names, which must be whole seconds."""
    assert error.response is not None
    return int(error.response.headers["Retry-After"])  # pyright: ignore[reportAttributeAccessIssue]  # The vendor's type is a part of its class.


def id_of(reservation: PhoneNumbersReservation) -> str:
    """Return the id, which the vendor's types let be missing."""
    assert reservation.id is not None
    return reservation.id


def statuses_of(reservation: PhoneNumbersReservation) -> dict[str, str]:
    """Return the status of each number in the reservation, by its digits."""
    return {digits: str(number.status) for digits, number in (reservation.phone_numbers or {}).items()}


def error_codes_of(reservation: PhoneNumbersReservation) -> set[str | None]:
    """Return the codes of the numbers that could not be reserved or bought."""
    return {number.error.code for number in (reservation.phone_numbers or {}).values() if number.error}
