"""The error body that every interface of Azure Communication Services has.

Source: azure-rest-api-specs, CommunicationErrorResponse.
"""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, Field

from ehr_clients.errors import ContractError
from ehr_clients.http import Answer, parse


class _Error(BaseModel):
    code: str = Field(default="", pattern="^([A-Za-z][A-Za-z0-9_.]{0,63})?$")
    """A word; what is none may say more than it should, and is not taken."""


class _Envelope(BaseModel):
    error: _Error = _Error()


def error_code(answer: Answer) -> str:
    """Return the machine-readable code of an error answer, or nothing. The message may name a number and is not read."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return ""
    try:
        return parse(answer, _Envelope).error.code
    except ContractError:
        return ""
