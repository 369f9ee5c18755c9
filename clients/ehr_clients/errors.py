"""Errors of remote systems, by what the caller can do about them.

The HTTP library's own exceptions never leave this package: callers decide on meaning, not on transport. A message names
system, operation and status, never a body, a header or a query, since FHIR bodies hold patient data. The cause is chained
for debugging in process and is not logged.
"""

from __future__ import annotations


class RemoteError(Exception):
    """A call to a remote system that gave no usable answer."""

    def __init__(self, system: str, operation: str, detail: str) -> None:
        super().__init__(f"{system}: {operation}: {detail}")
        self.system = system
        self.operation = operation
        self.detail = detail


class TemporaryError(RemoteError):
    """Nothing wrong with the request: try again later, not before `retry_after_s` where the system named a time.

    `status` is None when no answer came. `ambiguous` is True when the request may have been carried out although no
    answer came: ask before repeating it.
    """

    def __init__(
        self,
        system: str,
        operation: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(system, operation, detail)
        self.status = status
        self.retry_after_s = retry_after_s
        self.ambiguous = ambiguous


class RefusedError(RemoteError):
    """The system understood and said no (4xx): only a change of the request or of a permission helps."""

    def __init__(self, system: str, operation: str, detail: str, *, status: int, code: str = "") -> None:
        super().__init__(system, operation, detail)
        self.status = status
        self.code = code


class ContractError(RemoteError):
    """The answer is not what the system's documentation promises: not JSON, a field missing, too large."""
