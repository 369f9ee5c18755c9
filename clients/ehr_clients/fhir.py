"""FHIR R4 as Oracle Health Millennium (Cerner) serves it.

Source: Millennium Platform APIs, R4 Appointment: a search names one of `_id`, `patient`, `practitioner` and `location`,
and a date range.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import httpx
from pydantic import BaseModel, Field

from ehr_clients.errors import ContractError
from ehr_clients.http import Answer, ask, check, parse

SYSTEM = "EHR"
_FHIR_JSON = "application/fhir+json"


class _Issue(BaseModel):
    code: str = Field(default="", max_length=128)


class _OperationOutcome(BaseModel):
    resource_type: Literal["OperationOutcome"] = Field(alias="resourceType")
    issue: list[_Issue] = Field(default_factory=list[_Issue])


class _Resource(BaseModel):
    resource_type: str = Field(alias="resourceType")


class _Entry(BaseModel):
    resource: _Resource | None = None


class _Bundle(BaseModel):
    resource_type: Literal["Bundle"] = Field(alias="resourceType")
    total: int | None = None
    entry: list[_Entry] = Field(default_factory=list[_Entry])


class Fhir:
    """One FHIR base URL, with an access token."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, access_token: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": _FHIR_JSON, "Authorization": f"Bearer {access_token}"}

    async def count_appointments(
        self, actor: Literal["location", "practitioner"], ids: Sequence[str], start: datetime, end: datetime
    ) -> int:
        """Return how many appointments of these locations or practitioners the first page shows; nothing else is kept.

        Raises:
            RefusedError: `code` is the code of the first issue of the OperationOutcome.
            RemoteError: The server gave no usable answer.
        """
        query = [(actor, ",".join(ids)), ("date", f"ge{_instant(start)}"), ("date", f"lt{_instant(end)}")]
        answer = await ask(
            self._http,
            "GET",
            f"{self._base_url}/Appointment",
            system=SYSTEM,
            operation="search Appointment",
            headers=self._headers,
            query=query,
        )
        bundle = parse(check(answer, code=_issue_code(answer)), _Bundle)
        found = [entry.resource for entry in bundle.entry if entry.resource is not None]
        return sum(resource.resource_type == "Appointment" for resource in found)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _issue_code(answer: Answer) -> str:
    try:
        issues = parse(answer, _OperationOutcome).issue
    except ContractError:
        return ""
    return issues[0].code if issues else ""
