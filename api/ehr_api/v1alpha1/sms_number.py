"""SmsNumber: one phone number."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ehr_api.meta import E164, ApiModel, Cel, KindStatus, Name, ObjectReference, Time, immutable, rules


class NumberType(StrEnum):
    """Kinds of phone number that Azure Communication Services sells."""

    TOLL_FREE = "TollFree"
    GEOGRAPHIC = "Geographic"
    MOBILE = "Mobile"


class Capability(StrEnum):
    """Directions of traffic."""

    NONE = "None"
    INBOUND = "Inbound"
    OUTBOUND = "Outbound"
    INBOUND_AND_OUTBOUND = "InboundAndOutbound"


class Acquire(StrEnum):
    """How the number is got."""

    ADOPT_OR_PURCHASE = "AdoptOrPurchase"
    ADOPT = "Adopt"
    PURCHASE = "Purchase"


class DeletionPolicy(StrEnum):
    """What becomes of the phone number when its SmsNumber is deleted."""

    RETAIN = "Retain"
    RELEASE = "Release"


class VerificationState(StrEnum):
    """Outcome of a toll-free verification."""

    PENDING = "Pending"
    VERIFIED = "Verified"
    REJECTED = "Rejected"


class NumberCapabilities(ApiModel):
    """What the number must be able to do."""

    sms: Capability | None = Field(
        default=None,
        description="Text messages. Default: InboundAndOutbound; inbound is needed to see STOP, START and HELP.",
    )
    calling: Capability | None = Field(default=None, description="Voice calls. Default: None.")


class Money(ApiModel):
    """An amount of money."""

    amount: Annotated[
        str, rules(Cel("self.matches('^[0-9]+([.][0-9]{1,4})?$')", "must be an amount such as '2.00', in quotes"))
    ] = Field(
        max_length=16,
        description="Amount as decimal text, for example '2.00'.",
    )
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217 code, for example USD.")


class Verification(ApiModel):
    """Toll-free verification as the admin states it: Azure has no API for it.

    Until a toll-free number is verified, carriers in the United States and Canada block every text from it.
    """

    state: VerificationState = Field(description="Pending, Verified or Rejected.")
    reference: str = Field(
        min_length=1, max_length=128, description="Reference of the application in the Azure portal."
    )
    stated_by: str | None = Field(default=None, max_length=256, description="Who states this.")


class SmsNumberSpec(ApiModel):
    """Desired state: which number to hold, and what to do with it at the end."""

    config_ref: ObjectReference = Field(description="The EHRConnectorConfig (organisation) that this belongs to.")
    suspend: bool = Field(
        default=False, description="Stops all changes outside the cluster for this object; observation goes on."
    )
    country_code: Annotated[str, immutable("a number stays in its country; create a new SmsNumber instead")] = Field(
        max_length=2,
        default="US",
        pattern="^[A-Z]{2}$",
        description="Country of the number, ISO 3166-1 alpha-2.",
    )
    number_type: Annotated[NumberType, immutable("a number keeps its type; create a new SmsNumber instead")] = Field(
        default=NumberType.TOLL_FREE,
        description="Kind of number. In the United States only TollFree can send texts.",
    )
    area_code: str | None = Field(
        default=None, pattern="^[0-9]{1,6}$", description="Wanted area code, for example 833. None: any."
    )
    capabilities: NumberCapabilities | None = Field(default=None, description="What the number must be able to do.")
    phone_number: E164 | None = Field(
        default=None,
        description="Pins this very number: it is adopted where the Communication Services resource holds it already.",
    )
    acquire: Acquire = Field(
        default=Acquire.ADOPT_OR_PURCHASE,
        description="AdoptOrPurchase takes an owned number that matches and that no other SmsNumber claims, and buys one"
        " only where there is none; Adopt never buys; Purchase always buys. To buy is to state that the organisation will"
        " not resell the number, which Azure asks of every buyer.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="What happens to the number when this object is deleted: Retain keeps it, to be adopted again;"
        " Release gives it up for good.",
    )
    max_monthly_cost: Money | None = Field(
        default=None, description="A number that costs more a month is not bought. None: any price."
    )
    verification: Verification | None = Field(
        default=None, description="State of the toll-free verification, as the admin states it."
    )


SPEC_RULES = (
    Cel(
        "!has(oldSelf.phoneNumber) || (has(self.phoneNumber) && self.phoneNumber == oldSelf.phoneNumber)",
        "is immutable once it is set: patients know the number; create a new SmsNumber for another one",
        field_path=".phoneNumber",
    ),
    Cel(
        "!has(self.phoneNumber) || self.acquire != 'Purchase'",
        "must not be set with acquire: Purchase, which buys any number; use Adopt or AdoptOrPurchase",
        field_path=".phoneNumber",
    ),
)
"""Rules across the fields of the spec."""


class PurchaseState(StrEnum):
    """How far an acquisition got. It is written before the step it names, so a restart knows what to ask about."""

    INTENT = "Intent"
    RESERVED = "Reserved"
    SUBMITTED = "Submitted"
    COMPLETED = "Completed"


class Purchase(ApiModel):
    """The running or completed acquisition of a number by purchase."""

    attempt: int = Field(ge=1, description="Number of the attempt.")
    reservation_id: str = Field(
        max_length=36,
        description="Id of the reservation in Communication Services, derived from metadata.uid and attempt.",
    )
    object_uid: str = Field(max_length=36, description="metadata.uid of the object that the intent was written for.")
    state: PurchaseState = Field(description="How far it got.")
    phone_number: E164 | None = Field(default=None, description="The number in the reservation.")
    operation_id: str | None = Field(default=None, max_length=128, description="Id of the purchase operation.")
    started_at: Time = Field(description="When the intent was written; once submitted, when the purchase was.")


class SmsNumberStatus(KindStatus):
    """Observed state of one phone number."""

    phone_number: E164 | None = Field(default=None, description="The number held.")
    monthly_cost: Money | None = Field(default=None, description="What the number costs a month.")
    purchase_date: Time | None = Field(default=None, description="When the provider says the number was bought.")
    adopted: bool | None = Field(default=None, description="True where an owned number was taken instead of bought.")
    purchase: Purchase | None = Field(default=None, description="The acquisition by purchase.")
    communication_services_endpoint: str | None = Field(
        default=None,
        max_length=512,
        description="Endpoint of the Communication Services resource that holds the number, or where its purchase began.",
    )
    linked_endpoints: Annotated[list[Name], Field(max_length=500)] = Field(
        default_factory=list[str], description="FhirEndpoints that text from this number, sorted."
    )
