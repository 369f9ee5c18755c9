"""The steps of one EHR launch, from a click to tokens, each of which a test may change."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from contract.cerner_stand_in.running import (
    TENANT,
    CernerStandIn,
)

APP, OTHER_APP = "clinician-app", "other-app"
REDIRECT = "https://connector.example/launch/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-the-standard-0123456789"
SCOPE = "launch openid fhirUser online_access user/Appointment.read user/Appointment.write user/Patient.read user/Encounter.read"
OPENED: dict[str, Any] = {"tenant": TENANT, "practitioner": "4122601", "patient": "12724001", "encounter": "94817001"}


@dataclass
class Journey:
    """The steps of one launch, each of which a test may change."""

    cerner: CernerStandIn
    authorize: str
    token: str
    opened: dict[str, Any] = field(default_factory=lambda: dict(OPENED))

    async def launch(self, **changes: Any) -> str:
        return (await self.cerner.control("POST", "launches", self.opened | changes, 201))["launch"]

    async def ask(self, *, method: str = "GET", **changes: str | None) -> httpx.Response:
        """Ask for a code."""
        usual: dict[str, str | None] = {
            "response_type": "code",
            "client_id": APP,
            "redirect_uri": REDIRECT,
            "scope": SCOPE,
            "state": "a state",
            "aud": f"{self.cerner.url}/r4/{TENANT}",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "nonce": "a nonce",
        }
        if "launch" not in changes:
            usual["launch"] = await self.launch()
        sent = {name: value for name, value in (usual | changes).items() if value is not None}
        if method == "POST":
            return await self.cerner.http.post(self.authorize, data=sent)
        return await self.cerner.http.get(self.authorize, params=sent)

    async def code(self, **changes: Any) -> str:
        return redirected(await self.ask(**changes))["code"]

    async def exchange(self, code: str, /, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_id": APP,
        }
        sent = {name: value for name, value in (form | changes).items() if value is not None}
        return await self.cerner.http.post(self.token, data=sent)

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        answer = await self.exchange(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refresh(self, refresh_token: str, /, **changes: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": APP}
        return await self.cerner.http.post(self.token, data=form | changes)


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def redirected(answer: httpx.Response) -> dict[str, str]:
    """Return what a redirect brings to the app."""
    assert answer.status_code == 302, answer.text
    target = answer.headers["location"]
    assert target.startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(target).query))


def reason_of(error_uri: str) -> str:
    return error_uri.partition("/instances/")[0].rpartition(":")[2]


async def journey_at(cerner: CernerStandIn) -> Journey:
    smart = (await cerner.http.get(f"/r4/{TENANT}/.well-known/smart-configuration")).json()
    apps = [{"id": APP, "redirectUris": [REDIRECT]}, {"id": OTHER_APP, "redirectUris": [REDIRECT]}]
    await cerner.control("PUT", "clients", apps)
    return Journey(cerner, smart["authorization_endpoint"], smart["token_endpoint"])
