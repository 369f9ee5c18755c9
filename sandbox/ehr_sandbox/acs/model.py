"""What the simulated service keeps: numbers, reservations, searches, operations and the ledger.

Names on the wire are those of the REST interface. The whole state is one value, so that a file can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_sandbox.acs.messages.model import MessageState

NumberType = Literal["geographic", "tollFree", "mobile"]
AssignmentType = Literal["person", "application"]
Capability = Literal["none", "inbound", "outbound", "inbound+outbound"]
OperationType = Literal[
    "purchase", "releasePhoneNumber", "search", "updatePhoneNumberCapabilities", "reservationPurchase"
]
FailureCode = Literal[
    "UnknownErrorCode",
    "OutOfStock",
    "AuthorizationDenied",
    "MissingAddress",
    "InvalidAddress",
    "InvalidOfferModel",
    "NotEnoughLicenses",
    "NoWallet",
    "NotEnoughCredit",
    "NumbersPartiallyAcquired",
    "AllNumbersNotAcquired",
    "ReservationExpired",
    "PurchaseFailed",
    "BillingUnavailable",
    "ProvisioningFailed",
    "UnknownSearchError",
]
"""Why an operation fails. Source: azure-rest-api-specs, PhoneNumberSearchResultError."""


class Wire(BaseModel):
    """A value with the REST interface's names."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    def to_wire(self, *, without: set[str] | None = None) -> dict[str, Any]:
        """Return the JSON object, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=without)


class Capabilities(Wire):
    """What a number can do."""

    calling: Capability = "none"
    sms: Capability = "none"

    def within(self, offered: Capabilities) -> bool:
        """Tell whether a number that offers `offered` can do all of this."""
        return _ways(self.calling) <= _ways(offered.calling) and _ways(self.sms) <= _ways(offered.sms)


def _ways(capability: Capability) -> set[str]:
    return {way for way in capability.split("+") if way != "none"}


class Cost(Wire):
    """A price a month."""

    amount: float
    currency_code: str = "USD"
    billing_frequency: Literal["monthly"] = "monthly"


class ErrorDetail(Wire):
    """Azure's error object."""

    code: str
    message: str


class Number(Wire):
    """A phone number; `id` is its digits."""

    id: str
    phone_number: str
    country_code: str
    phone_number_type: NumberType
    assignment_type: AssignmentType
    capabilities: Capabilities
    cost: Cost


class AvailableNumber(Number):
    """A number on sale, or in a reservation."""

    status: Literal["available", "reserved", "expired", "error", "purchased"] = "available"
    is_agreement_to_not_resell_required: bool = False
    error: ErrorDetail | None = None


def needs_agreement(numbers: Iterable[AvailableNumber]) -> bool:
    """Tell whether the buyer of these numbers must agree not to resell."""
    return any(number.is_agreement_to_not_resell_required for number in numbers)


class OwnedNumber(Number):
    """A number that the resource owns."""

    purchase_date: datetime
    listed_at: datetime
    """From then on the service shows it; the purchase itself was earlier. Not on the wire."""


class Reservation(Wire):
    """A hold on numbers that the client named by an id of its own."""

    id: str
    created_at: datetime
    expires_at: datetime
    status: Literal["active", "submitted", "completed", "expired"] = "active"
    phone_numbers: dict[str, AvailableNumber] = Field(default_factory=dict[str, AvailableNumber])

    @property
    def held(self) -> list[AvailableNumber]:
        """The numbers that are held for a purchase."""
        return [number for number in self.phone_numbers.values() if number.status == "reserved"]


class Search(Wire):
    """A search of the older way to buy; its numbers are on hold until it expires."""

    id: str
    operation_id: str
    numbers: list[AvailableNumber]
    phone_number_type: NumberType
    assignment_type: AssignmentType
    capabilities: Capabilities
    cost: Cost
    expires_at: datetime
    finished: bool = False
    status: Literal["held", "submitted", "purchased", "failed", "expired"] = "held"


class Operation(Wire):
    """A long-running operation; its effect comes about when it is due."""

    id: str
    operation_type: OperationType
    status: Literal["notStarted", "running", "succeeded", "failed"] = "running"
    created_date_time: datetime
    last_action_date_time: datetime | None = None
    resource_location: str | None = None
    error: ErrorDetail | None = None
    due_at: datetime
    subject: str
    """The reservation's or search's id, or the digits of the number. Not on the wire."""
    capabilities: Capabilities | None = None
    """What a change of capabilities is to bring. Not on the wire."""
    failure: str | None = None
    """The code that it is going to fail with. Not on the wire."""

    @property
    def open(self) -> bool:
        """Whether it is still at work."""
        return self.status in {"notStarted", "running"}


class LedgerEntry(Wire):
    """Something that was done, and what it cost. What spends or gives up has an entry for each number."""

    kind: Literal["purchase", "release", "reservation", "search", "search_refused", "purchase_refused"]
    time: datetime
    id: str
    """The reservation or search; for a release the operation."""
    phone_number: str | None = None
    """The number that was bought or released."""
    phone_numbers: list[str] | None = None
    """The numbers of a reservation, a search or a refused purchase."""
    amount: float = 0.0
    """The first month's price."""


class State(BaseModel):
    """All that the service knows."""

    owned: dict[str, OwnedNumber] = Field(default_factory=dict[str, OwnedNumber])
    reservations: dict[str, Reservation] = Field(default_factory=dict[str, Reservation])
    searches: dict[str, Search] = Field(default_factory=dict[str, Search])
    operations: dict[str, Operation] = Field(default_factory=dict[str, Operation])
    sold: set[str] = Field(default_factory=set[str])
    """Numbers that other customers bought."""
    restocked: set[str] = Field(default_factory=set[str])
    """Numbers that were put on sale beside the stock that the seed gives."""
    search_attempts: list[datetime] = Field(default_factory=list[datetime])
    shift_s: float = 0.0
    """How far `POST /_sandbox/state` put the service's clock forward: after a restart it must not go back."""
    failures: list[tuple[OperationType, FailureCode]] = Field(default_factory=list[tuple[OperationType, FailureCode]])
    """What the next operations of a type are to fail with."""
    ledger: list[LedgerEntry] = Field(default_factory=list[LedgerEntry])
    messages: MessageState = Field(default_factory=MessageState)
