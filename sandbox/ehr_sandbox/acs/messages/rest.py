"""The REST interfaces of SMS and e-mail."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.acs.errors import not_found
from ehr_sandbox.acs.gate import Call, Gate
from ehr_sandbox.acs.messages import events, mailing, opt_outs, texting
from ehr_sandbox.acs.messages.model import Mail
from ehr_sandbox.acs.world import World

_WITH_OPT_OUTS = ("2026-01-23",)
SMS_VERSIONS = ("2021-03-07", *_WITH_OPT_OUTS)
"""The one that the vendor's Python client is bound to, and the newest. Source: azure-rest-api-specs, Sms/stable."""
EMAIL_VERSIONS = ("2023-03-31", "2025-09-01")
"""Source: azure-rest-api-specs, Email/stable."""


def routes(gate: Gate) -> list[Route]:
    """Return every route of both interfaces."""
    return [
        gate.route("POST", "/sms", _send, versions=SMS_VERSIONS),
        gate.route("POST", "/sms/optouts:{change}", _opt_outs, versions=_WITH_OPT_OUTS),
        gate.route("GET", "/deliveryReports/{id}", _delivery_report, versions=_WITH_OPT_OUTS),
        gate.route("POST", "/emails:send", _send_email, versions=EMAIL_VERSIONS),
        gate.route("GET", "/emails/operations/{id}", _email_operation, versions=EMAIL_VERSIONS),
    ]


def _send(world: World, call: Call) -> Response:
    results = texting.send(world, call.body_as(texting.SendRequest))
    return JSONResponse({"value": results}, status_code=202)


def _opt_outs(world: World, call: Call) -> Response:
    wanted = call.body_as(opt_outs.OptOutRequest)
    match call.path["change"]:
        case "add" | "remove" | "check" as change:
            return JSONResponse({"value": opt_outs.apply(world, wanted, change)})
        case other:
            raise not_found(f"The action '{other}'")


def _delivery_report(world: World, call: Call) -> Response:
    text = world.state.messages.texts.get(call.path["id"])
    if text is None or not text.ended:
        problem = {"type": "https://httpstatuses.io/404", "title": "Not Found", "status": 404}
        return JSONResponse(problem, status_code=404, media_type="application/problem+json")
    body: dict[str, Any] = {
        "messageId": text.id,
        "from": text.sender,
        "to": text.to,
        "deliveryStatus": text.status,
        "deliveryStatusDetails": text.details,
        "deliveryAttempts": [events.attempt_of(text)],
        "receivedTimestamp": text.due_at.isoformat(),
    }
    return JSONResponse(body if text.tag is None else body | {"tag": text.tag})


def _send_email(world: World, call: Call) -> Response:
    mail = mailing.send(world, call.body_as(mailing.EmailRequest), call.headers.get("operation-id"))
    location = f"{call.origin}/emails/operations/{mail.id}?api-version={call.query['api-version']}"
    return JSONResponse(_operation(mail), status_code=202, headers={"Operation-Location": location, "Retry-After": "1"})


def _email_operation(world: World, call: Call) -> Response:
    mail = mailing.find(world, call.path["id"])
    return JSONResponse(_operation(mail), headers={} if mail.ended else {"Retry-After": "1"})


def _operation(mail: Mail) -> dict[str, Any]:
    body: dict[str, Any] = {"id": mail.id, "status": mail.status, "error": None}
    if mail.ended and mail.failure:
        body["error"] = {"code": mail.failure, "message": "The e-mail was not delivered."}
    return body
