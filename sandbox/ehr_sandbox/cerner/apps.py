"""The apps that clinicians may launch: where each may be sent back to, and whether it has keys.

`PUT /_sandbox/clients` replaces the whole list: `[{id, redirectUris: [...], jwksUrl?}]`; with a JWKS URL the client is
confidential and proves itself by a signed assertion (private_key_jwt), without one it is public. `GET` shows the list. Clients
with system access alone are given when the simulator starts, and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.control_bodies import ControlBody, answering
from ehr_sandbox.cerner.settings import AppRegistration

CONTROLS = {
    "PUT /_sandbox/clients": "Replace the apps that clinicians may launch.",
    "GET /_sandbox/clients": "The apps that clinicians may launch.",
}


class App(ControlBody):
    """An app that a clinician may launch."""

    id: str = Field(min_length=1)
    redirect_uris: tuple[str, ...] = Field(min_length=1)
    jwks_url: str | None = None
    """Where it publishes its public keys; a public client has none."""


_APPS = TypeAdapter(list[App])


class Apps:
    """The registered apps, and the addresses of the keys of all clients."""

    def __init__(self, system_key_urls: Mapping[str, str], apps: Iterable[AppRegistration]) -> None:
        self._system_key_urls = system_key_urls
        self._apps: dict[str, App] = {}
        self.key_urls: dict[str, str] = {}
        """By client id; it changes with the registrations."""
        self.replace(App(id=app.id, redirect_uris=app.redirect_uris, jwks_url=app.jwks_url) for app in apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Register these apps instead of all earlier ones."""
        self._apps = {app.id: app for app in apps}
        self.key_urls.clear()
        self.key_urls.update(self._system_key_urls)
        self.key_urls.update({app.id: app.jwks_url for app in self._apps.values() if app.jwks_url is not None})

    def get(self, client: str) -> App | None:
        """Return the app of that client id."""
        return self._apps.get(client)

    def routes(self) -> list[Route]:
        """Return the routes of the controls, to be mounted at `/_sandbox`."""
        return [
            Route("/clients", answering(self._put), methods=["PUT"]),
            Route("/clients", answering(self._show), methods=["GET"]),
        ]

    async def _put(self, request: Request) -> Response:
        self.replace(_APPS.validate_json(await request.body()))
        return await self._show(request)

    async def _show(self, _request: Request) -> Response:
        return JSONResponse([app.model_dump(by_alias=True, mode="json") for app in self._apps.values()])
