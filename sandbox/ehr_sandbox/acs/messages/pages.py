"""A phone and a mailbox: what a patient would get, and a way to text back. They need no authentication."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ehr_sandbox.acs.messages.model import Mail
from ehr_sandbox.acs.messages.texting import receive
from ehr_sandbox.acs.passing_time import settle
from ehr_sandbox.acs.state_file import Store
from ehr_sandbox.acs.world import World

_environment = Environment(
    loader=PackageLoader("ehr_sandbox.acs.messages"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}


def routes(world: World, store: Store) -> list[Route]:
    """Return the pages' routes."""

    def arrive() -> None:
        if settle(world):
            store.save(world.state)

    async def phone(request: Request) -> Response:
        arrive()
        number = _number(request)
        return _page("phone.html", number=number, texts=texts_at(world, number))

    async def answer(request: Request) -> Response:
        number = _number(request)
        fields = parse_qs((await request.body()).decode())
        arrive()
        receive(world, number, fields.get("to", [""])[0], fields.get("message", [""])[0])
        store.save(world.state)
        return RedirectResponse(f"/phone/{quote(number)}", 303)

    async def mailbox(request: Request) -> Response:
        arrive()
        address = request.path_params["address"]
        mails = [mail for mail in world.state.messages.mails.values() if _arrived(mail, address)]
        return _page("mailbox.html", address=address, mails=mails[::-1])

    return [
        Route("/phone/{number}", phone, methods=["GET"]),
        Route("/phone/{number}", answer, methods=["POST"]),
        Route("/mailbox/{address}", mailbox, methods=["GET"]),
    ]


def texts_at(world: World, number: str) -> list[dict[str, Any]]:
    """Return the texts on a phone, the newest first; what did not arrive is not there."""
    messages = world.state.messages
    arrived = [
        {"at": one.due_at, "other": one.sender, "text": one.text, "own": False, "id": one.id}
        for one in messages.texts.values()
        if one.to == number and one.status == "Delivered"
    ]
    written = [
        {"at": one.at, "other": one.to if one.sender == number else one.sender, "text": one.text}
        | {"own": one.sender == number, "id": ""}
        for one in messages.received
        if number in {one.sender, one.to}
    ]
    return sorted([*arrived, *written], key=lambda one: one["at"], reverse=True)


def _number(request: Request) -> str:
    """Return the number of the address; a plus that was not escaped is one all the same."""
    return f"+{request.path_params['number'].strip().removeprefix('+')}"


def _arrived(mail: Mail, address: str) -> bool:
    return mail.status == "Succeeded" and address.lower() in {one.lower() for one in mail.to}


def _page(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(_environment.get_template(template).render(**values), headers=_HEADERS)
