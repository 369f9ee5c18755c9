"""What the simulated server answers when it refuses."""

from __future__ import annotations

from typing import Any

TENANT_REFUSAL = "Tenant not valid or accessible"
"""Body of 403, plain text. Source: Cerner's R4 overview, "Client Errors"."""


class FhirError(Exception):
    """A refusal that is an OperationOutcome."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """From FHIR's issue-type code system."""
        self.message = message
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The OperationOutcome."""
        return operation_outcome(self.code, self.message)


class TenantError(Exception):
    """The tenant does not exist, or the caller's token is for another one."""


class NotAcceptableError(Exception):
    """The caller accepts no JSON."""


def operation_outcome(code: str, message: str, *, severity: str = "error") -> dict[str, Any]:
    """Return an OperationOutcome with one issue."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "details": {"text": message}, "diagnostics": message}],
    }


def missing(message: str) -> FhirError:
    """Refuse a search without a parameter that is required."""
    return FhirError(400, "required", message)


def invalid(message: str) -> FhirError:
    """Refuse a search whose parameters are wrong in themselves or together."""
    return FhirError(400, "invalid", message)


def not_found(what: str) -> FhirError:
    """Refuse a request for something that is not there."""
    return FhirError(404, "not-found", f"{what} was not found")
