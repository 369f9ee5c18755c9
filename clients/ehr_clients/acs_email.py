"""E-mail by Azure Communication Services, by its REST interface.

A send is a long-running operation that the caller names: the caller stores the operation's id before the call and gives
the same one again. Each function is one request, sent once.

Source: Azure Communication Services, Email REST API 2025-09-01.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
from pydantic import BaseModel, Field

from ehr_clients import limits
from ehr_clients.acs_error import error_code
from ehr_clients.errors import RefusedError
from ehr_clients.http import Answer, check, exchange, parse

API_VERSION = "2025-09-01"
SYSTEM = "Communication Services Email"


class _Error(BaseModel):
    code: str = Field(default="", max_length=128)


class EmailOperation(BaseModel):
    """How far an e-mail is."""

    id: str
    status: str
    """`NotStarted`, `Running`, `Succeeded`, `Failed` or `Canceled`."""
    error: _Error | None = None


class Email:
    """The e-mail of one Communication Services resource."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str) -> None:
        self._http = http
        self._endpoint = endpoint.rstrip("/")

    async def send(
        self, sender: str, recipient: str, subject: str, text: str, *, operation_id: UUID, reply_to: str | None = None
    ) -> EmailOperation:
        """Send a plain e-mail to one address, under an operation id of the caller's.

        Raises:
            RefusedError: `code` says why, for example `DomainNotLinked`.
            TemporaryError: Repeat it under the same id; `retry_after_s` says when.
        """
        body: dict[str, Any] = {
            "senderAddress": sender,
            "recipients": {"to": [{"address": recipient}]},
            "content": {"subject": subject, "plainText": text},
            # The service would otherwise write its own address into the links, to count who opens them.
            "userEngagementTrackingDisabled": True,
        }
        if reply_to is not None:
            body["replyTo"] = [{"address": reply_to}]
        answer = await self._call(
            "send e-mail", "POST", "/emails:send", body, headers={"Operation-Id": str(operation_id)}
        )
        return parse(answer, EmailOperation)

    async def operation(self, operation_id: UUID) -> EmailOperation | None:
        """Return the state of a send, or None where the service knows none of this id."""
        try:
            return parse(
                await self._call("get e-mail operation", "GET", f"/emails/operations/{operation_id}"), EmailOperation
            )
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _call(
        self, operation: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        media = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method,
            self._endpoint + path,
            params={"api-version": API_VERSION},
            content=None if body is None else json.dumps(body),
            headers={**media, **(headers or {})},
        )
        answer = await exchange(
            self._http, request, system=SYSTEM, operation=operation, timeout_s=limits.SPENDING_TIMEOUT_S
        )
        return check(answer, code=error_code(answer))
