"""The error that the simulated service answers with."""

from __future__ import annotations

from typing import Any


class AzureError(Exception):
    """A refusal: HTTP status, Azure's error code and a message that names the remedy."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """The error in the shape that every Communication Services interface uses."""
        return error_body(self.code, self.message)


def error_body(code: str, message: str) -> dict[str, Any]:
    """Return an error answer's body.

    Source: azure-rest-api-specs, CommunicationErrorResponse.
    """
    return {"error": {"code": code, "message": message}}


def bad_request(message: str) -> AzureError:
    """Refuse a request that is wrong in itself."""
    return AzureError(400, "BadRequest", message)


def not_found(what: str) -> AzureError:
    """Refuse a request for something that is not there."""
    return AzureError(404, "NotFound", f"{what} was not found.")


def conflict(message: str) -> AzureError:
    """Refuse a request that the present state does not allow."""
    return AzureError(409, "Conflict", message)


def too_many(message: str, retry_after_s: int) -> AzureError:
    """Refuse a request over a limit.

    Source: Communication Services, "Service limits": 429 for any limit, with Retry-After.
    """
    return AzureError(429, "TooManyRequests", message, retry_after_s=retry_after_s)
