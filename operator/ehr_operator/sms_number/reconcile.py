"""The kind SmsNumber: observe, decide, act, report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ehr_api.conditions import Type
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.sms_number import DeletionPolicy, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_operator.remotes import Remotes, UntrustedUrlError, origin
from ehr_operator.runtime.model import (
    FREE,
    PAID,
    Api,
    Body,
    Change,
    Clock,
    ConflictError,
    Finalized,
    Key,
    Objects,
    Outcome,
    TryLaterError,
    parse_object,
)
from ehr_operator.sms_number import report
from ehr_operator.sms_number.acquisition import Acquisition, Number, situation_of
from ehr_operator.sms_number.budget import Budget, Purchases, Spent, reason_to_wait
from ehr_operator.sms_number.claims import Claims, claimed_by_others, waiting_for
from ehr_operator.sms_number.pauses import outage_pause_s
from ehr_operator.sms_number.release import is_settled, let_go, never_owned
from ehr_operator.sms_number.report import Situation
from ehr_operator.sms_number.unknown import reservations_of
from ehr_operator.sms_number_refusals import Refusals
from ehr_operator.views import (
    BY_CONFIG,
    CONFIG,
    NUMBER,
    condition_status,
    config_key,
    config_of,
    endpoints_with_number,
    endpoints_with_number_now,
    is_deleting,
    key_of,
)

_NO_LIMIT = Budget()
_BUSY_S = 0.5
"""Another number of the same resource is being looked at: this one waits without a worker."""
_UNANSWERED = 3
"""Looks in a row without an answer that are told in a condition: one lost packet is news for nobody."""
_CHECK_S = 6 * 3600.0
"""A held number is looked at this often: nobody but us should change it."""


def _always() -> None:
    """Nobody else could be at it."""


class SmsNumberKind:
    """Adopts or buys the number, keeps an eye on it, and keeps or releases it at the end."""

    kind = "SmsNumber"
    plural = "smsnumbers"
    spec_type = SmsNumberSpec
    status_type = SmsNumberStatus
    finalizer: str | None = f"{GROUP}/sms-number"
    workers = 4
    min_interval_s = 0.2
    indexes: tuple[str, ...] = (BY_CONFIG,)

    def __init__(
        self,
        api: Api,
        objects: Objects,
        clock: Clock,
        remotes: Remotes,
        refusals: Refusals,
        *,
        purchasing_enabled: bool,
        budget: Budget = _NO_LIMIT,
        jitter: Callable[[float], float],
        may_spend: Callable[[], None] = _always,
    ) -> None:
        """`may_spend` is called right before a call that buys or releases, and raises ConflictError to forbid it."""
        self._api = api
        self._objects = objects
        self._clock = clock
        self._remotes = remotes
        self._refusals = refusals
        self._purchasing_enabled = purchasing_enabled
        self._budget = budget
        self._jitter = jitter
        self._may_spend = may_spend
        self._claims: dict[str, Claims] = {}
        self._purchases = Purchases()
        self._unanswered: dict[str, int] = {}
        """Looks in a row without an answer, by the uid of each object whose number is held."""
        self._settled: set[str] = set()
        """Reservations of objects that went as they should: nothing will come of them any more."""

    def signal(self, body: Body) -> Hashable:
        """Others look at the number, whether it is ready, and whether it goes away."""
        status: dict[str, Any] = body.get("status", {})
        return (
            body["metadata"].get("generation"),
            status.get("phoneNumber"),
            condition_status(body, Type.READY),
            is_deleting(body),
        )

    def may_go(self, body: Body) -> bool:
        """Let go what never got as far as to buy or to hold a number."""
        status: dict[str, Any] = body.get("status", {})
        submitted = status.get("purchase", {}).get("state") == PurchaseState.SUBMITTED
        return "phoneNumber" not in status and not submitted

    def related(self, body: Body) -> Iterable[Key]:
        """Wake the organisation, the endpoints that text from this number, and whoever waits for it."""
        namespace = body["metadata"]["namespace"]
        yield config_key(body)
        yield from endpoints_with_number(self._objects, namespace, body["metadata"]["name"])
        if self._objects.get(key_of(NUMBER, body)) is None:
            yield from waiting_for(self._objects, body)

    def mended_by(self, change: Change) -> bool:
        """Only another Communication Services resource may give another answer: what this one asked us to wait stands."""
        if change.kind != CONFIG or change.before is None or change.after is None:
            return False
        place = "communicationServices"
        return bool(change.before["spec"].get(place) != change.after["spec"].get(place))

    async def reconcile(self, obj: Number) -> Outcome[SmsNumberStatus]:
        """Hold the number, or come one step closer to it."""
        outcome = await self._look(obj)
        return report.refused(outcome) if self._refusals.stands(config_key(obj.body), obj.body) else outcome

    async def _look(self, obj: Number) -> Outcome[SmsNumberStatus]:
        status = obj.status.model_copy(update={"linked_endpoints": self._linked(obj)})
        organization = config_of(self._objects, obj.body)
        situation = obstacle(obj, organization)
        if situation is not None or organization is None or organization.communication_services is None:
            if obj.status.phone_number is not None and (situation is None or not situation.stalled):
                return report.outcome(obj.spec, status, None, requeue_after_s=self._jitter(_CHECK_S))
            return report.outcome(obj.spec, status, situation)
        endpoint = _begun_at(obj.status) or organization.communication_services.endpoint
        claims = self._claims.setdefault(origin(endpoint), Claims())
        if claims.lock.locked():
            raise TryLaterError(_BUSY_S)
        async with claims.lock:
            return await self._acquire(obj, organization, endpoint, claims)

    async def finalize(self, obj: Number) -> Outcome[SmsNumberStatus] | Finalized:
        """Hold the deletion while endpoints text from the number; then keep it or release it."""
        obj = await self._read(obj)
        self._unanswered.pop(obj.uid, None)
        if never_owned(obj.status):
            return Finalized()  # whatever links to it, is broken or cannot be reached
        linked = self._linked(obj)
        if not linked and obj.spec.deletion_policy is DeletionPolicy.RELEASE:
            # There is no way back: the watch may not have brought an endpoint yet that was linked a moment ago.
            linked = [key.name for key in await endpoints_with_number_now(self._api, obj.key.namespace, obj.key.name)]
        status = obj.status.model_copy(update={"linked_endpoints": linked})
        if linked:
            return report.outcome(obj.spec, status, report.still_linked(linked))
        settled = is_settled(obj.spec, obj.status)
        if settled is not None:
            return settled
        if obj.spec.suspend:
            message = (
                "spec.suspend is true, so nothing is released. Author: set it to false, or set deletionPolicy: Retain"
            )
            return report.outcome(obj.spec, status, Situation("Suspended", message))
        endpoint = self._endpoint_of(obj)
        if endpoint is None:
            message = (
                f"nothing tells which Communication Services resource has the number. Author: restore the EHRConnectorConfig"
                f" '{obj.spec.config_ref.name}', or set deletionPolicy: Retain"
            )
            return report.outcome(obj.spec, status, Situation("ReleasePending", message))
        try:
            situation = await let_go(
                obj.spec,
                obj.status,
                self._remotes.phone_numbers(endpoint),
                self._may_spend,
                deleting_for_s=self._deleting_for_s(obj),
            )
        except UntrustedUrlError as exc:
            situation = Situation("EndpointNotTrusted", str(exc))
        except RemoteError as exc:
            situation = _situation(exc)
        if isinstance(situation, Finalized):
            self._settled |= {obj.status.purchase.reservation_id} if obj.status.purchase else set()
            return situation
        return report.outcome(obj.spec, status, situation)

    def _deleting_for_s(self, obj: Number) -> float:
        since = datetime.fromisoformat(obj.body["metadata"]["deletionTimestamp"])
        return (self._clock() - since).total_seconds()

    def _endpoint_of(self, obj: Number) -> str | None:
        """Return the resource that has the number; an organisation that is going away still knows its own."""
        if obj.status.communication_services_endpoint is not None:
            return obj.status.communication_services_endpoint
        body = self._objects.get(config_key(obj.body))
        return body["spec"].get("communicationServices", {}).get("endpoint") if body else None

    async def _acquire(
        self, obj: Number, organization: EHRConnectorConfigSpec, endpoint: str, claims: Claims
    ) -> Outcome[SmsNumberStatus]:
        """Take as many steps as can be taken, on what the API server holds now rather than on the cache."""
        linked = {"linked_endpoints": self._linked(obj)}
        try:
            numbers = self._remotes.phone_numbers(endpoint)
        except UntrustedUrlError as exc:
            return report.outcome(
                obj.spec, obj.status.model_copy(update=linked), Situation("EndpointNotTrusted", str(exc))
            )
        await self._check_still_wanted(obj, organization)
        acquisition = Acquisition(
            await self._read(obj),
            numbers,
            endpoint,
            self._api,
            self._clock,
            claimed=lambda: claimed_by_others(self._objects, obj.body, claims),
            known_reservations=lambda: self._settled | reservations_of(self._objects),
            counted_reservations=lambda: self._purchases.reservations | reservations_of(self._objects),
            claims=claims,
            purchases=self._purchases,
            purchasing_enabled=self._purchasing_enabled,
            wait_to_buy=lambda unknown: reason_to_wait(
                [
                    *self._purchases.besides(self._objects, obj.body, self._clock()),
                    *(Spent(obj.key, endpoint, at, under_way=False) for at in unknown),
                ],
                obj.key,
                endpoint,
                self._budget,
                self._clock(),
            ),
            may_spend=self._may_spend,
        )
        try:
            result = await acquisition.run()
        except RemoteError as exc:
            status = acquisition.status.model_copy(update=linked)
            return self._after_error(obj, status, exc)
        self._unanswered.pop(obj.uid, None)
        return report.outcome(
            obj.spec,
            result.status.model_copy(update=linked),
            result.situation,
            requeue_after_s=self._jitter(_CHECK_S),
            notes=result.notes,
        )

    async def _check_still_wanted(self, obj: Number, organization: EHRConnectorConfigSpec) -> None:
        """Look once more, right before something may be spent: the decision so far came from the cache, and from before a wait.

        Raises:
            ConflictError: The organisation or its consent is another one by now.
        """
        body = await self._api.read(config_key(obj.body))
        if body is None or is_deleting(body) or EHRConnectorConfigSpec.model_validate(body["spec"]) != organization:
            raise ConflictError(f"the organisation of {obj.key} was changed meanwhile")

    def _after_error(self, obj: Number, status: SmsNumberStatus, error: RemoteError) -> Outcome[SmsNumberStatus]:
        if not isinstance(error, TemporaryError) or status.phone_number is None:
            self._unanswered.pop(obj.uid, None)
            return report.outcome(obj.spec, status, _situation(error))
        # What was observed before still stands: a lost answer tells nothing about the number.
        self._unanswered[obj.uid] = looks = self._unanswered.get(obj.uid, 0) + 1
        pause_s = max(self._jitter(outage_pause_s(looks)), error.retry_after_s or 0.0)
        # Once told, it stays told until an answer comes, also by a process that has just begun to count.
        told = condition_status(obj.body, Type.PROVISIONED) == "Unknown"
        unanswered = told or looks >= _UNANSWERED
        return report.outcome(
            obj.spec,
            status,
            None,
            requeue_after_s=pause_s,
            notes=(report.OUTAGE,) if unanswered and not told else (),
            unanswered=unanswered,
        )

    def _linked(self, obj: Number) -> list[str]:
        return [key.name for key in endpoints_with_number(self._objects, obj.key.namespace, obj.key.name)]

    async def _read(self, obj: Number) -> Number:
        body = await self._api.read(obj.key)
        if body is None or body["metadata"]["uid"] != obj.uid:
            raise ConflictError(f"{obj.key} was deleted or replaced")
        fresh = parse_object(self.kind, body, self.spec_type, self.status_type)
        if (fresh.generation, fresh.deleting) != (obj.generation, obj.deleting):
            raise ConflictError(f"{obj.key} was changed meanwhile")
        return fresh


def _begun_at(status: SmsNumberStatus) -> str | None:
    """Return the resource where money may have been spent: a purchase ends where it was begun."""
    submitted = status.purchase is not None and status.purchase.state is PurchaseState.SUBMITTED
    return status.communication_services_endpoint if submitted or status.phone_number is not None else None


def obstacle(obj: Number, organization: EHRConnectorConfigSpec | None) -> Situation | None:
    """Return what keeps a number from being looked at or for."""
    name = obj.spec.config_ref.name
    held = obj.status.phone_number
    if organization is None:
        return Situation(
            "ConfigNotFound",
            f"waiting for the EHRConnectorConfig '{name}' in this namespace. Author: apply it, or correct configRef",
        )
    if organization.communication_services is None:
        message = f"the EHRConnectorConfig '{name}' names no resource for the number. Author: set communicationServices.endpoint"
        return Situation("CommunicationServicesMissing", message)
    if not organization.consent_recorded:
        message = (
            f"the EHRConnectorConfig '{name}' records not both consents, so no number is taken or bought. Author: complete"
            " smsNotifications.consent, with who and when"
        )
        return Situation("ConsentMissing", message)
    if obj.spec.suspend:
        return Situation("Suspended", "spec.suspend is true: nothing is adopted or bought. Author: set it to false")
    named, has = organization.communication_services.endpoint, obj.status.communication_services_endpoint
    if held is not None and has is not None and origin(has) != origin(named):
        message = (
            f"{held} is in the Communication Services resource {has}, and the EHRConnectorConfig '{name}' now names {named}."
            " Author: put the endpoint back, or create a new SmsNumber for the new resource"
        )
        return Situation("NumberInOtherResource", message, stalled=True)
    return None


def _situation(error: RemoteError) -> Situation:
    match error:
        case TemporaryError(status=HTTPStatus.TOO_MANY_REQUESTS, operation="purchase reservation"):
            return Situation(
                "QuotaReached",
                "the quota of numbers is used up (one a tenant, unless Azure support has raised it). Azure: ask support for a"
                " larger one; author: or adopt a number that is owned",
                backoff=PAID,
                retry_after_s=error.retry_after_s,
            )
        case TemporaryError(status=HTTPStatus.TOO_MANY_REQUESTS):
            return Situation(
                "ProviderThrottled",
                f"Communication Services asks the operator to wait ({error.operation}, {error.detail}), for hours perhaps, and it"
                " does. Nobody has to act; Azure, if it stays: ask support for a higher rate",
                backoff=PAID,
                retry_after_s=error.retry_after_s,
            )
        case TemporaryError():
            return Situation(
                "ProviderUnavailable",
                f"Communication Services gave no usable answer ({error.operation}, {error.detail}). Azure, if it"
                " stays: look at the service's health",
                backoff=FREE,
                retry_after_s=error.retry_after_s,
            )
        case RefusedError():
            return situation_of(error)
        case ContractError() | _:
            return Situation(
                "UnexpectedAnswer",
                f"Communication Services answered in a way that this operator does not understand ({error.operation},"
                f" {error.detail}). Platform team: report it, with the operator's version",
                backoff=FREE,
            )
