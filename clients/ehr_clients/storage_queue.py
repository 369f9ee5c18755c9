"""One queue of Azure Storage: take messages, delete them. Each function is one request, sent once.

A message that is taken is hidden for a while; who does not delete it in that time lets it come back, to anybody.

Source: Azure Storage, Queue service REST API, "Get Messages", "Delete Message"; version 2021-12-02.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from xml.etree import ElementTree as ET

import httpx

from ehr_clients.errors import ContractError, RefusedError
from ehr_clients.http import Answer, check, exchange

ENTRA_SCOPE = "https://storage.azure.com/.default"
"""The scope to ask Entra for."""
VERSION = "2021-12-02"
SYSTEM = "Storage queue"
MOST_AT_ONCE = 32
"""Messages of one answer. Source: "Get Messages", numofmessages."""
QUEUE_NOT_FOUND = "QueueNotFound"
_GONE = frozenset({"MessageNotFound", "PopReceiptMismatch"})
_ERROR_CODE = "x-ms-error-code"


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message that was taken."""

    id: str
    receipt: str = field(repr=False)
    """Proves that it was taken; another one's taking makes it worthless."""
    taken: int
    """How often it was taken, this time included."""
    text: str = field(repr=False)


class StorageQueue:
    """One queue."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        """`url` may have a shared access signature as its query; else `http` proves itself."""
        self._http = http
        self._url = httpx.URL(url)

    async def take(self, *, hidden_s: int, most: int = MOST_AT_ONCE) -> Sequence[QueueMessage]:
        """Take the messages that are there, at most so many, and hide them from others for so long.

        Raises:
            RefusedError: `code` is the service's, for example `QUEUE_NOT_FOUND`.
            TemporaryError: Try again; `retry_after_s` says when.
        """
        answer = await self._call(
            "take messages", "GET", "messages", {"numofmessages": str(most), "visibilitytimeout": str(hidden_s)}
        )
        return [_message(answer, one) for one in _parsed(answer).iter("QueueMessage")]

    async def delete(self, message: QueueMessage) -> bool:
        """Delete a message, and return whether it was still ours: later than its hiding it may be another's.

        Raises:
            RefusedError: `code` is the service's.
            TemporaryError: Try again; if the message was deleted, that is no failure.
        """
        try:
            await self._call("delete message", "DELETE", f"messages/{message.id}", {"popreceipt": message.receipt})
        except RefusedError as exc:
            if exc.code in _GONE:
                return False
            raise
        return True

    async def _call(self, operation: str, method: str, path: str, query: dict[str, str]) -> Answer:
        url = self._url.copy_with(path=f"{self._url.path.rstrip('/')}/{path}").copy_merge_params(query)
        request = self._http.build_request(method, url, headers={"x-ms-version": VERSION})
        answer = await exchange(self._http, request, system=SYSTEM, operation=operation)
        code = "" if answer.status < HTTPStatus.BAD_REQUEST else answer.headers.get(_ERROR_CODE, "")
        return check(answer, code=code if code.isalnum() and code.isascii() else "")


class _Plain(ET.TreeBuilder):
    """Takes no document type: with none, nothing can be defined that grows, and nothing is fetched."""

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise ValueError("a document type")


def _parsed(answer: Answer) -> ET.Element:
    try:
        parser = ET.XMLParser(target=_Plain())  # noqa: S314 (it takes no document type, so no entities either)
        parser.feed(answer.body)
        return parser.close()
    except (ET.ParseError, ValueError):
        raise ContractError(SYSTEM, answer.operation, "the answer is not the XML that was promised") from None


def _message(answer: Answer, element: ET.Element) -> QueueMessage:
    found = {name: element.findtext(name) for name in ("MessageId", "PopReceipt", "DequeueCount", "MessageText")}
    message_id, receipt, taken = found["MessageId"], found["PopReceipt"], found["DequeueCount"] or ""
    if not message_id or not receipt or not taken.isdecimal():
        raise ContractError(SYSTEM, answer.operation, "a message without an id, a receipt or a count")
    return QueueMessage(id=message_id, receipt=receipt, taken=int(taken), text=found["MessageText"] or "")
