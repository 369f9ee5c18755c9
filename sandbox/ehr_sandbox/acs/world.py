"""The simulated service's state and rules that all interfaces share: time, stock, operations, quotas."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_sandbox.acs.catalog import describe, stock_of
from ehr_sandbox.acs.errors import too_many
from ehr_sandbox.acs.model import (
    AvailableNumber,
    Capabilities,
    FailureCode,
    LedgerEntry,
    Operation,
    OperationType,
    State,
)
from ehr_sandbox.acs.settings import AcsSettings, Behaviour

_QUOTA_RETRY_S = 3600
"""Only a support request raises the purchase quota, so an early retry is of no use."""

_PREFIXES: dict[OperationType, str] = {
    "search": "search",
    "purchase": "purchase",
    "reservationPurchase": "reservationPurchase",
    "releasePhoneNumber": "release",
    "updatePhoneNumberCapabilities": "capabilities",
}
"""An operation's id says what it does. Source: azure-rest-api-specs, examples of 2025-06-01."""


@dataclass
class World:
    """Everything that one running simulator knows and decides."""

    settings: AcsSettings
    behaviour: Behaviour
    state: State
    stock: dict[str, AvailableNumber]
    chance: random.Random
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())

    def now(self) -> datetime:
        """Return the service's time."""
        return self.settings.now() + timedelta(seconds=self.state.shift_s)

    def on_sale(self, digits: str) -> AvailableNumber | None:
        """Return the number when anybody may reserve it, or None."""
        number = self.stock.get(digits)
        return number if number is not None and digits not in self._taken() else None

    def all_on_sale(self) -> list[AvailableNumber]:
        """Return every number that anybody may reserve, in random order."""
        taken = self._taken()
        numbers = [number for digits, number in self.stock.items() if digits not in taken]
        self.chance.shuffle(numbers)
        return numbers

    def _taken(self) -> set[str]:
        state = self.state
        reserved = (number.id for reservation in state.reservations.values() for number in reservation.held)
        searched = (
            number.id
            for search in state.searches.values()
            if search.status in {"held", "submitted"}
            for number in search.numbers
        )
        return {*state.owned, *state.sold, *reserved, *searched}

    def start(
        self,
        operation_type: OperationType,
        subject: str,
        *,
        resource_location: str | None = None,
        capabilities: Capabilities | None = None,
    ) -> Operation:
        """Start an operation; what it brings about comes when it is due."""
        now = self.now()
        operation = Operation(
            id=f"{_PREFIXES[operation_type]}_{self.new_id()}",
            operation_type=operation_type,
            created_date_time=now,
            due_at=now + timedelta(seconds=self.behaviour.operation_seconds),
            subject=subject,
            resource_location=resource_location,
            capabilities=capabilities,
            failure=self._planned_failure(operation_type),
        )
        self.state.operations[operation.id] = operation
        return operation

    def _planned_failure(self, operation_type: OperationType) -> FailureCode | None:
        for index, (planned, code) in enumerate(self.state.failures):
            if planned == operation_type:
                del self.state.failures[index]
                return code
        return None

    def charge_purchase_quota(self, wanted_by: str, wanted: Iterable[AvailableNumber]) -> None:
        """Return when the tenant may own these numbers too.

        Raises:
            AzureError: 429. That the quota answers so is read from "429 for any limit", not seen.
        """
        numbers = [number.phone_number for number in wanted]
        state = self.state
        under_way = sum(
            len(reservation.held) for reservation in state.reservations.values() if reservation.status == "submitted"
        ) + sum(len(search.numbers) for search in state.searches.values() if search.status == "submitted")
        quota = self.behaviour.purchase_quota
        if len(state.owned) + under_way + len(numbers) > quota:
            self.record(LedgerEntry(kind="purchase_refused", time=self.now(), id=wanted_by, phone_numbers=numbers))
            raise too_many(
                f"The tenant may own {quota} phone number(s), and these would be more; a support request raises the"
                " quota.",
                _QUOTA_RETRY_S,
            )

    def record(self, entry: LedgerEntry) -> None:
        """Add a line to the ledger."""
        self.state.ledger.append(entry)


def new_world(settings: AcsSettings, state: State) -> World:
    """Return a world with the stock that the settings' seed gives, and what was put on sale beside it."""
    stock = stock_of(settings.seed, settings.numbers_per_area)
    for phone_number in state.restocked:
        number = describe(phone_number)
        stock.setdefault(number.id, number)
    return World(
        settings=settings,
        behaviour=settings.behaviour,
        state=state,
        stock=stock,
        chance=random.Random(settings.seed),  # noqa: S311  # A shuffle, not a secret.
    )
