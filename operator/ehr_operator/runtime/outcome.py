"""From what a reconcile found to what stands in status, and to the Events that tell of a change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic

from pydantic import ValidationError

from ehr_api.conditions import Finding, Type, false, find, merge, true
from ehr_api.meta import REQUESTED_AT, Condition, KindStatus, Retry
from ehr_operator.runtime.bodies import is_deleting
from ehr_operator.runtime.model import Body, Failure, Note, Object, Outcome, SpecT, State, StatusT

_SUMMARY = (Type.READY, Type.RECONCILING, Type.STALLED)
_MAX_DOUBLINGS = 32
_UNREADABLE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Conclusion(Generic[StatusT]):
    """What follows from an outcome."""

    status: StatusT
    """The whole status, as it is to stand."""
    notes: tuple[Note, ...]
    """The Events to post."""
    next_s: float | None
    """Seconds until the object is looked at again although nothing changed."""


def conclude(
    obj: Object[SpecT, StatusT], outcome: Outcome[StatusT], *, now: datetime, random: Callable[[], float]
) -> Conclusion[StatusT]:
    """Return what follows from `outcome`.

    `observedGeneration` is written on every outcome, failures included: an object whose failure was looked at must not
    seem to be in progress for ever. Exactly one of Ready, Reconciling and Stalled is True, as kstatus reads them.
    """
    retry, next_s = _retry(obj.status, outcome, now=now, random=random)
    conditions = merge(
        obj.status.conditions, [*_summary(outcome), *outcome.findings], generation=obj.generation, now=now
    )
    changes: dict[str, Any] = {
        "observed_generation": obj.generation,
        "conditions": conditions,
        "last_handled_reconcile_at": obj.annotations.get(REQUESTED_AT, obj.status.last_handled_reconcile_at),
        "retry": retry,
    }
    notes = (*_ready_note(obj, outcome), *outcome.notes)
    return Conclusion(outcome.status.model_copy(update=changes), notes, next_s)


def conclude_unreadable(
    body: Body, finalizer: str | None, error: ValidationError, *, now: datetime
) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Return the status and the Events of an object that this version does not understand.

    The kind's own status is left as it stands: it may tell what is held outside.
    """
    places = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
    message = f"this version of the operator does not understand: {', '.join(places)}"[:_UNREADABLE_LENGTH]
    if is_deleting(body) and finalizer:
        message += f"; to give up what the object holds outside the cluster, remove its finalizer {finalizer}"
    status: dict[str, Any] = dict(body.get("status", {}))
    known = {type_.value for type_ in Type}
    conditions = [Condition.model_validate(one) for one in status.get("conditions", []) if one.get("type") in known]
    findings = (
        false(Type.READY, "InvalidSpec", message),
        true(Type.STALLED, "InvalidSpec", message),
        *standing_findings(KindStatus(conditions=conditions)),
    )
    generation = body["metadata"]["generation"]
    merged = merge(conditions, findings, generation=generation, now=now)
    requested = body["metadata"].get("annotations", {}).get(REQUESTED_AT)
    status.pop("retry", None)
    status |= {"observedGeneration": generation, "conditions": [condition.to_api() for condition in merged]}
    status |= {"lastHandledReconcileAt": requested} if requested else {}
    standing = find(conditions, Type.READY)
    is_news = standing is None or standing.message != message
    return status, (Note("InvalidSpec", message, warning=True),) if is_news else ()


def standing_findings(status: KindStatus) -> tuple[Finding, ...]:
    """Return the kind's own conditions as they stand, for an outcome that has nothing new to say about them."""
    return tuple(
        Finding(Type(condition.type), condition.status, condition.reason, condition.message)
        for condition in status.conditions
        if condition.type in set(Type) - set(_SUMMARY)
    )


def held_back_s(obj: Object[SpecT, StatusT], now: datetime) -> float:
    """Return the seconds for which the back-off in status still holds the object back; 0 when it does not.

    A changed spec, a deletion (which is a new generation) and a new `requestedAt` lift it: somebody has acted.
    """
    retry = obj.status.retry
    acted = (
        obj.status.observed_generation != obj.generation
        or obj.annotations.get(REQUESTED_AT, obj.status.last_handled_reconcile_at)
        != obj.status.last_handled_reconcile_at
    )
    if acted or retry is None or retry.next_attempt_time is None:
        return 0.0
    return max(0.0, (retry.next_attempt_time - now).total_seconds())


def pause_s(failure: Failure, failures: int, random: Callable[[], float]) -> float:
    """Return the pause after the given number of failures in a row: doubled each time, between half and all of it."""
    backoff = failure.backoff
    longest = min(backoff.max_s, backoff.base_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
    return max(longest * (0.5 + random() / 2), failure.retry_after_s or 0.0)


def _retry(
    status: KindStatus, outcome: Outcome[StatusT], *, now: datetime, random: Callable[[], float]
) -> tuple[Retry | None, float | None]:
    if outcome.failure is None:
        return None, outcome.requeue_after_s
    failures = (status.retry.failures if status.retry else 0) + 1
    pause = pause_s(outcome.failure, failures, random)
    moment = (now + timedelta(seconds=pause)).replace(microsecond=0)
    return Retry(failures=failures, next_attempt_time=moment), pause


def _summary(outcome: Outcome[StatusT]) -> Sequence[Finding]:
    reason, message = outcome.reason, outcome.message
    match outcome.state:
        case State.READY:
            return (true(Type.READY, reason, message),)
        case State.RECONCILING:
            return (false(Type.READY, reason, message), true(Type.RECONCILING, reason, message))
        case State.STALLED:
            return (false(Type.READY, reason, message), true(Type.STALLED, reason, message))


def _ready_note(obj: Object[SpecT, StatusT], outcome: Outcome[StatusT]) -> tuple[Note, ...]:
    """Return the Event for a changed summary: `Ready` speaks for the other conditions too."""
    is_ready = outcome.state is State.READY
    ready = find(obj.status.conditions, Type.READY)
    was_ready = ready is not None and ready.status == "True"
    failed = outcome.failure is not None or any(finding.status == "False" for finding in outcome.findings)
    if ready is None and (is_ready or (not failed and outcome.state is not State.STALLED)):
        return ()  # at the first look all is well, or on its way: the conditions tell that
    if ready is not None and (ready.reason, was_ready) == (outcome.reason, is_ready):
        return ()
    warning = outcome.warning
    if warning is None:
        # After a change of the spec not to be ready for a moment is how it goes.
        lost = was_ready and obj.status.observed_generation == obj.generation
        warning = lost or outcome.state is State.STALLED or outcome.failure is not None
    return (Note(outcome.reason, outcome.message, warning=warning and not is_ready),)
