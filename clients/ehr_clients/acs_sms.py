"""Text messages by Azure Communication Services, by its REST interface.

Not the vendor's SDK: it makes a new repeatability id for every call and takes none of ours, so a repetition after a lost
answer would be a second text. Here the caller stores id and first-sent time before the call and gives the same ones again.
Each function is one request, sent once.

Source: Azure Communication Services, SMS REST API 2026-01-23.
"""

from __future__ import annotations

import email.utils
import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_clients import limits
from ehr_clients.acs_error import error_code
from ehr_clients.errors import ContractError, RefusedError, TemporaryError
from ehr_clients.http import Answer, check, exchange, parse

API_VERSION = "2026-01-23"
SYSTEM = "Communication Services SMS"
TEXT_MAX = 2048
"""Characters of one text."""
REPETITION_REJECTED = "RepeatabilityRejected"
"""`RefusedError.code`: the service cannot tell any more whether the repetition is one, and sent nothing."""
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class DeliveryReport(_Model):
    """What became of a text; of the answer only what names nobody."""

    message_id: str
    delivery_status: str
    delivery_status_details: str = Field(default="", max_length=512)

    @property
    def code(self) -> int | None:
        """Return the delivery code (2000 is delivered), or None where there is none."""
        digits = self.delivery_status_details.partition(":")[0].strip()
        return int(digits) if digits.isdecimal() else None


class _Result(_Model):
    """The result for the one recipient. The error's message may name the number and is not read."""

    http_status_code: int
    message_id: str | None = None
    repeatability_result: str | None = None


class _Sent(_Model):
    value: list[_Result]


class _OptOut(_Model):
    http_status_code: int
    is_opted_out: bool | None = None


class _OptOuts(_Model):
    value: list[_OptOut]


class Sms:
    """The text messages of one Communication Services resource."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str) -> None:
        self._http = http
        self._endpoint = endpoint.rstrip("/")

    async def send(
        self, sender: str, recipient: str, text: str, *, request_id: UUID, first_sent: datetime, tag: str
    ) -> str:
        """Send a text to one phone and return the message's id. `tag` comes back with the delivery report.

        A repetition with the same id, time, phone and text is accepted once and answered the same.

        Raises:
            RefusedError: The sender or the recipient is refused; `code` may be `REPETITION_REJECTED`.
            TemporaryError: Repeat it under the same id; `retry_after_s` says when.
        """
        body = {
            "from": sender,
            "smsRecipients": [
                {
                    "to": recipient,
                    "repeatabilityRequestId": str(request_id),
                    "repeatabilityFirstSent": email.utils.format_datetime(first_sent.astimezone(UTC), usegmt=True),
                }
            ],
            "message": text,
            "smsSendOptions": {"enableDeliveryReport": True, "tag": tag},
        }
        answer = await self._call("send text", "POST", "/sms", body)
        results = parse(answer, _Sent).value
        if len(results) != 1:
            raise ContractError(SYSTEM, answer.operation, f"{len(results)} results for one recipient")
        return _message_id(answer, results[0])

    async def delivery_report(self, message_id: str) -> DeliveryReport | None:
        """Return what became of a text, or None while nobody knows."""
        try:
            answer = await self._call("get delivery report", "GET", f"/deliveryReports/{message_id}")
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return parse(answer, DeliveryReport)

    async def is_opted_out(self, sender: str, recipient: str) -> bool:
        """Return whether the provider itself blocks texts from this number to that phone."""
        answer = await self._opt_out("check", sender, recipient)
        return answer.is_opted_out is True

    async def opt_out(self, sender: str, recipient: str) -> None:
        """Let the provider block texts from this number to that phone; nothing happens to one that is blocked."""
        await self._opt_out("add", sender, recipient)

    async def opt_in(self, sender: str, recipient: str) -> None:
        """Take a block away; nothing happens where there is none."""
        await self._opt_out("remove", sender, recipient)

    async def _opt_out(self, change: str, sender: str, recipient: str) -> _OptOut:
        body = {"from": sender, "recipients": [{"to": recipient}]}
        answer = await self._call(f"{change} opt-out", "POST", f"/sms/optouts:{change}", body)
        results = parse(answer, _OptOuts).value
        if len(results) != 1:
            raise ContractError(SYSTEM, answer.operation, f"{len(results)} results for one recipient")
        _check_result(answer, results[0].http_status_code)
        return results[0]

    async def _call(self, operation: str, method: str, path: str, body: Any = None) -> Answer:
        request = self._http.build_request(
            method,
            self._endpoint + path,
            params={"api-version": API_VERSION},
            content=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        answer = await exchange(
            self._http, request, system=SYSTEM, operation=operation, timeout_s=limits.SPENDING_TIMEOUT_S
        )
        return check(answer, code=error_code(answer))


def _message_id(answer: Answer, result: _Result) -> str:
    rejected = (result.repeatability_result or "").lower() == "rejected"
    _check_result(answer, result.http_status_code, REPETITION_REJECTED if rejected else "")
    if not result.message_id:
        raise ContractError(SYSTEM, answer.operation, "an accepted text without an id")
    return result.message_id


def _check_result(answer: Answer, status: int, code: str = "") -> None:
    """Raise what the status of one recipient means; the whole answer was a success."""
    if 200 <= status < 300:  # noqa: PLR2004 (RFC 9110: successful)
        return
    detail = f"status {status} for the recipient" + (f" ({code})" if code else "")
    if status in _TEMPORARY:
        raise TemporaryError(SYSTEM, answer.operation, detail, status=status)
    raise RefusedError(SYSTEM, answer.operation, detail, status=status, code=code)
