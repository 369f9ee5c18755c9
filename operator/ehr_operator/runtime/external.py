"""Counts the calls to systems outside the cluster, by system, operation and outcome."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_operator.runtime.metrics import Metrics

T = TypeVar("T")


class Calls:
    """What is counted; a system and its operations are a closed set, so no address becomes a label."""

    def __init__(self, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._monotonic = monotonic

    def of(self, client: T, system: str) -> T:
        """Return the client with every asynchronous method counted under its own name."""
        return cast("T", _Counted(client, system, self))

    async def count(
        self, system: str, operation: str, call: Awaitable[T], outcome_of: Callable[[T], str] | None = None
    ) -> T:
        """Await a call and count it; `outcome_of` reads the outcome from an answer that tells of failure itself."""
        began_s = self._monotonic()
        outcome = "cancelled"
        try:
            answer = await call
            outcome = outcome_of(answer) if outcome_of else "ok"
        except RemoteError as exc:
            outcome = _outcome(exc)
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            self._metrics.external_call(system, operation, outcome, self._monotonic() - began_s)
        return answer


class _Counted:
    """Stands for a client."""

    def __init__(self, client: Any, system: str, calls: Calls) -> None:
        self._client = client
        self._system = system
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not inspect.iscoroutinefunction(member):
            return member

        async def counted(*args: Any, **kwargs: Any) -> Any:
            return await self._calls.count(self._system, name, member(*args, **kwargs))

        return counted


def _outcome(error: RemoteError) -> str:
    match error:
        case TemporaryError():
            return "unavailable"
        case RefusedError():
            return "refused"
        case ContractError():
            return "unusable"
        case _:
            return "error"
