"""Which number belongs to which SmsNumber: a Communication Services resource may serve several, in any namespace."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from ehr_api.v1alpha1.sms_number import PurchaseState
from ehr_operator.runtime.model import Body, Key, Objects
from ehr_operator.views import NUMBER, key_of


@dataclass
class Claims:
    """The numbers of one Communication Services resource, ahead of the cache, which learns of a write a moment later.

    `lock` makes look-and-claim one act.
    """

    of: dict[Key, str] = field(default_factory=dict[Key, str])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget_gone(self, objects: Objects) -> None:
        """Drop the claims of objects that are gone, however they went."""
        for key in [key for key in self.of if objects.get(key) is None]:
            del self.of[key]


def claimed_by_others(objects: Objects, own: Body, claims: Claims) -> dict[str, str]:
    """Return each number that is not for `own` to take, with the namespace and name of whoever has it.

    A number belongs to the object that holds it or is buying it, and after that to the eldest that pins it.
    """
    claims.forget_gone(objects)
    mine = key_of(NUMBER, own)
    pinned: dict[str, str] = {}
    taken: dict[str, str] = {}
    for body in objects.list(NUMBER, ""):
        key = key_of(NUMBER, body)
        if key == mine:
            continue
        holder = f"{key.namespace}/{key.name}"
        if "phoneNumber" in body["spec"] and (body["spec"]["phoneNumber"] != _pin(own) or _age(body) < _age(own)):
            pinned[body["spec"]["phoneNumber"]] = holder
        taken |= dict.fromkeys(_held(body), holder)
    taken |= {number: f"{key.namespace}/{key.name}" for key, number in claims.of.items() if key != mine}
    return pinned | taken


def waiting_for(objects: Objects, gone: Body) -> list[Key]:
    """Return the objects without a number that pin the one which `gone` held."""
    freed = _held(gone)
    return [
        key_of(NUMBER, body)
        for body in objects.list(NUMBER, "")
        if _pin(body) in freed and "phoneNumber" not in body.get("status", {})
    ]


def _held(body: Body) -> set[str]:
    status: dict[str, Any] = body.get("status", {})
    purchase: dict[str, Any] = status.get("purchase", {})
    buying = purchase if purchase.get("state") != PurchaseState.INTENT else {}
    return {place["phoneNumber"] for place in (status, buying) if "phoneNumber" in place}


def _pin(body: Body) -> str | None:
    return body["spec"].get("phoneNumber")


def _age(body: Body) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]
