"""Who takes no texts of a number: the service's own list.

Source: azure-rest-api-specs, Communication/data-plane/Sms/stable/2026-01-23, OptOuts.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ehr_sandbox.acs.errors import AzureError
from ehr_sandbox.acs.model import Wire
from ehr_sandbox.acs.world import World

Change = Literal["add", "remove", "check"]


class OptOutRecipient(Wire):
    """One phone."""

    to: str


class OptOutRequest(Wire):
    """The body of a call about opt-outs."""

    sender: str = Field(alias="from")
    recipients: list[OptOutRecipient] = Field(min_length=1, max_length=100)


def apply(world: World, wanted: OptOutRequest, change: Change) -> list[dict[str, Any]]:
    """Change or ask, and return each phone's result."""
    if wanted.sender.removeprefix("+") not in world.state.owned:
        raise AzureError(401, "Unauthorized", "The From phone number is not one of this resource's.")
    return [_one(world, wanted.sender, one.to, change) for one in wanted.recipients]


def _one(world: World, sender: str, to: str, change: Change) -> dict[str, Any]:
    opted_out = world.state.messages.opted_out
    if not to.startswith("+"):
        return {"to": to, "httpStatusCode": 400, "errorMessage": "Invalid To phone number format."}
    if change == "add":
        opted_out.add((sender, to))
    elif change == "remove":
        opted_out.discard((sender, to))
    else:
        return {"to": to, "httpStatusCode": 200, "isOptedOut": (sender, to) in opted_out}
    return {"to": to, "httpStatusCode": 200}
