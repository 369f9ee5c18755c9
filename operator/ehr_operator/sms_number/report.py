"""From what is known about a number to its conditions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.v1alpha1.sms_number import (
    Money,
    NumberType,
    PurchaseState,
    SmsNumberSpec,
    SmsNumberStatus,
    VerificationState,
)
from ehr_clients.acs_numbers import Cost
from ehr_operator.runtime.model import Backoff, Failure, Note, Outcome, State
from ehr_operator.sms_number.pauses import SELDOM_S

TEXTS_REFUSED = "TextsRefused"
"""Of a number that is stated as verified, and whose texts do not arrive all the same."""
_UNCONFIRMED = unknown(
    Type.PROVISIONED,
    "ProviderUnavailable",
    "Communication Services has given no usable answer several times in a row, so nobody can tell whether the number is"
    " still owned. Azure, if it stays: look at the service's health. It is asked again by itself at least every 10 min",
)


OUTAGE = Note(
    "ProviderUnavailable",
    "Communication Services has given no usable answer several times in a row; the number stays in use, and it is asked again",
    warning=True,
)


@dataclass(frozen=True, slots=True)
class Situation:
    """Why there is no number yet (or none that can be confirmed), and what happens next."""

    reason: str
    message: str
    stalled: bool = False
    requeue_after_s: float | None = None
    backoff: Backoff | None = None
    retry_after_s: float | None = None
    warning: bool | None = None
    """Whether it is told as a Warning; None: as the runtime does by itself."""


def still_linked(endpoints: Sequence[str]) -> Situation:
    """Return what holds up the deletion of a number from which endpoints text."""
    return Situation(
        "DeletionBlocked",
        f"FhirEndpoints still text from this number: {', '.join(endpoints[:10])}. Author: delete them or point"
        " their smsNumberRef elsewhere",
        warning=True,
    )


def outcome(
    spec: SmsNumberSpec,
    status: SmsNumberStatus,
    situation: Situation | None,
    *,
    requeue_after_s: float | None = None,
    notes: tuple[Note, ...] = (),
    unanswered: bool = False,
) -> Outcome[SmsNumberStatus]:
    """Return the outcome for a number; `situation` None says that it is held.

    `unanswered` says that nobody could tell for a while whether it still is. It stays Ready: what sends texts is another
    part of the provider, and nothing is known to be wrong with the number.
    """
    if situation is not None:
        situation = replace(situation, message=f"{situation.message}. {_next_try(situation)}")
    verified = _verified(spec)
    provisioned = _UNCONFIRMED if unanswered and situation is None else _provisioned(spec, status, situation)
    findings = (_reserved(status, situation), provisioned, verified, _linked(status))
    if situation is not None:
        return Outcome(
            state=State.STALLED if situation.stalled else State.RECONCILING,
            reason=situation.reason,
            message=situation.message,
            findings=findings,
            status=status,
            requeue_after_s=situation.requeue_after_s,
            failure=Failure(situation.backoff, situation.retry_after_s) if situation.backoff else None,
            warning=situation.warning,
            notes=notes,
        )
    if verified.status != "True":
        rejected = verified.reason == "VerificationRejected"
        state, reason, message = (
            State.STALLED if rejected else State.RECONCILING,
            verified.reason,
            verified.message,
        )
    else:
        state, reason, message = State.READY, "NumberHeld", f"{status.phone_number} is held and may send texts"
    return Outcome(
        state=state,
        reason=reason,
        message=message,
        findings=findings,
        status=status,
        requeue_after_s=requeue_after_s,
        notes=notes,
    )


def refused(found: Outcome[SmsNumberStatus]) -> Outcome[SmsNumberStatus]:
    """Return the outcome for a number whose texts do not arrive, although it is stated as verified.

    The number stays in use, and Ready if it was: it is by a text that arrives that the refusal ends.
    """
    doubtful = tuple(_doubted(one) if one.type is Type.VERIFIED else one for one in found.findings)
    return replace(found, findings=doubtful)


def _doubted(verified: Finding) -> Finding:
    if verified.reason != "VerificationStated":
        return verified
    return unknown(
        Type.VERIFIED,
        TEXTS_REFUSED,
        f"{verified.message}, but texts do not arrive (4010): carriers take none from a number that is not verified, and"
        " filter what looks like advertising. Azure: compare its verification in the portal; author: correct"
        " spec.verification, or the templates. This ends by itself with the first text that arrives",
    )


def _next_try(situation: Situation) -> str:
    """Return when it goes on: by the rule, so that nothing moves in the message."""
    if situation.backoff is not None:
        return "Tried again by itself; when stands in status.retry"
    if situation.requeue_after_s is None:
        return "This goes on as soon as that is done"
    return f"Looked at again by itself at least every {SELDOM_S / 60:g} min"


def how_to_pin(phone_number: str) -> str:
    """Return what the author puts into Git, so that this object gets this very number back whatever is lost."""
    return f'To have this object get this very number back after the loss of the cluster, author: set spec.phoneNumber: "{phone_number}"'


def money(cost: Cost | None) -> Money | None:
    """Return the provider's cost as the API writes amounts."""
    if cost is None:
        return None
    return Money(amount=str(Decimal(str(cost.amount)).quantize(Decimal("0.01"))), currency=cost.currency_code)


def _reserved(status: SmsNumberStatus, situation: Situation | None) -> Finding:
    if status.phone_number is not None:
        return true(Type.RESERVED, "NumberHeld", f"{status.phone_number} belongs to this object")
    purchase = status.purchase
    if purchase and purchase.state is not PurchaseState.INTENT and purchase.phone_number:
        return true(
            Type.RESERVED, "NumberReserved", f"{purchase.phone_number} is reserved in attempt {purchase.attempt}"
        )
    assert situation is not None  # noqa: S101 (a number that is held is reserved: the first rule)
    return false(Type.RESERVED, situation.reason, situation.message)


def _provisioned(spec: SmsNumberSpec, status: SmsNumberStatus, situation: Situation | None) -> Finding:
    if situation is None:
        owned = f"the Communication Services resource owns {status.phone_number}"
        pin = "" if spec.phone_number or not status.phone_number else f". {how_to_pin(status.phone_number)}"
        return true(Type.PROVISIONED, "NumberHeld", f"{owned}{pin}")
    if status.phone_number is not None and not situation.stalled:
        return unknown(Type.PROVISIONED, situation.reason, situation.message)
    return false(Type.PROVISIONED, situation.reason, situation.message)


def _verified(spec: SmsNumberSpec) -> Finding:
    if spec.number_type is not NumberType.TOLL_FREE:
        return true(Type.VERIFIED, "NotRequired", "only toll-free numbers need toll-free verification")
    stated = spec.verification
    if stated is None:
        return unknown(
            Type.VERIFIED,
            "VerificationNotStated",
            "carriers block texts from a toll-free number until it is verified. Azure: apply in the portal (Communication"
            " Services, Regulatory documents); author: then state the outcome in spec.verification. This goes on as soon as that is done",
        )
    match stated.state:
        case VerificationState.VERIFIED:
            return true(Type.VERIFIED, "VerificationStated", f"stated as verified, reference {stated.reference}")
        case VerificationState.REJECTED:
            return false(
                Type.VERIFIED,
                "VerificationRejected",
                f"the toll-free verification {stated.reference} was rejected. Azure: apply again in the portal; author:"
                " state the new reference in spec.verification. This goes on as soon as that is done",
            )
        case VerificationState.PENDING:
            return false(
                Type.VERIFIED,
                "VerificationPending",
                f"the toll-free verification {stated.reference} is pending; it takes weeks. Author: state its outcome"
                " in spec.verification. This goes on as soon as that is done",
            )


def _linked(status: SmsNumberStatus) -> Finding:
    if status.linked_endpoints:
        return true(Type.LINKED, "EndpointsLinked", f"texts patients of {', '.join(status.linked_endpoints[:10])}")
    return false(
        Type.LINKED,
        "NotLinked",
        "no FhirEndpoint names this number, so it texts nobody; that is in the way of nothing. Author: name it in the"
        " smsNumberRef of a FhirEndpoint",
    )
