"""The kind SmsNumber: observe, decide, act, report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from http import HTTPStatus
from typing import Any

from ehr_api.conditions import Type
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.sms_number import DeletionPolicy, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import (
    FREE,
    PAID,
    Api,
    Body,
    Clock,
    ConflictError,
    Finalized,
    Key,
    Note,
    Objects,
    Outcome,
    parse_object,
)
from ehr_operator.sms_number import report
from ehr_operator.sms_number.acquisition import Acquisition, Claims, Number, situation_of
from ehr_operator.sms_number.report import Situation
from ehr_operator.views import BY_CONFIG, condition_status, config_key, config_of, endpoints_with_number, is_deleting

_RELEASE_POLL_S = 5.0
_CHECK_S = 6 * 3600.0
"""A held number is looked at this often: nobody but us should change it."""


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
        *,
        purchasing_enabled: bool,
        jitter: Callable[[float], float],
    ) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock
        self._remotes = remotes
        self._purchasing_enabled = purchasing_enabled
        self._jitter = jitter
        self._claims: dict[str, Claims] = {}

    def signal(self, body: Body) -> Hashable:
        """Others look at the number, whether it is ready, and whether it goes away."""
        status: dict[str, Any] = body.get("status", {})
        return (
            body["metadata"].get("generation"),
            status.get("phoneNumber"),
            condition_status(body, Type.READY),
            is_deleting(body),
        )

    def related(self, body: Body) -> Iterable[Key]:
        """Wake the organisation and the endpoints that text from this number."""
        namespace = body["metadata"]["namespace"]
        yield config_key(body)
        yield from endpoints_with_number(self._objects, namespace, body["metadata"]["name"])

    async def reconcile(self, obj: Number) -> Outcome[SmsNumberStatus]:
        """Hold the number, or come one step closer to it."""
        status = obj.status.model_copy(update={"linked_endpoints": self._linked(obj)})
        situation, organization = self._organization(obj)
        if situation is not None or organization is None or obj.spec.suspend:
            if obj.status.phone_number is not None:
                return report.outcome(obj.spec, status, None, requeue_after_s=self._jitter(_CHECK_S))
            waits = situation or Situation("Suspended", "spec.suspend is true: nothing is adopted or bought")
            return report.outcome(obj.spec, status, waits)
        endpoint = organization.communication_services
        assert endpoint is not None  # noqa: S101 (_organization looked)
        claims = self._claims.setdefault(endpoint.endpoint, Claims())
        async with claims.lock:
            return await self._acquire(obj, endpoint.endpoint, claims)

    async def finalize(self, obj: Number) -> Outcome[SmsNumberStatus] | Finalized:
        """Hold the deletion while endpoints text from the number; then keep it or release it."""
        linked = self._linked(obj)
        status = obj.status.model_copy(update={"linked_endpoints": linked})
        if linked:
            return report.outcome(
                obj.spec,
                status,
                Situation(
                    "DeletionBlocked",
                    f"FhirEndpoints still text from this number: {', '.join(linked[:10])}. Delete them or point their"
                    " smsNumberRef elsewhere",
                ),
            )
        for claims in self._claims.values():
            claims.of.pop(obj.key, None)
        number = obj.status.phone_number
        purchase = obj.status.purchase
        if number is not None and obj.spec.deletion_policy is DeletionPolicy.RETAIN:
            return Finalized((Note("NumberRetained", f"{number} stays in the Communication Services resource"),))
        if number is not None or (
            purchase is not None
            and purchase.state is PurchaseState.SUBMITTED
            and obj.spec.deletion_policy is DeletionPolicy.RELEASE
        ):
            return await self._release(obj, status)
        return Finalized()

    async def _acquire(self, obj: Number, endpoint: str, claims: Claims) -> Outcome[SmsNumberStatus]:
        """Take as many steps as can be taken, on what the API server holds now rather than on the cache."""
        linked = {"linked_endpoints": self._linked(obj)}
        try:
            numbers = self._remotes.phone_numbers(endpoint)
        except UntrustedUrlError as exc:
            return report.outcome(
                obj.spec, obj.status.model_copy(update=linked), Situation("EndpointNotTrusted", str(exc))
            )
        acquisition = Acquisition(
            await self._read(obj),
            numbers,
            self._api,
            self._clock,
            claimed=lambda: self._claimed(obj.key, claims),
            claims=claims,
            purchasing_enabled=self._purchasing_enabled,
        )
        try:
            result = await acquisition.run()
        except RemoteError as exc:
            status = acquisition.status.model_copy(update=linked)
            return self._after_error(obj.spec, status, exc)
        return report.outcome(
            obj.spec,
            result.status.model_copy(update=linked),
            result.situation,
            requeue_after_s=self._jitter(_CHECK_S),
            notes=result.notes,
        )

    def _after_error(
        self, spec: SmsNumberSpec, status: SmsNumberStatus, error: RemoteError
    ) -> Outcome[SmsNumberStatus]:
        if isinstance(error, TemporaryError) and status.phone_number is not None:
            # What was observed before still stands: one lost answer tells nothing about the number.
            return report.outcome(spec, status, None, requeue_after_s=self._jitter(60.0))
        return report.outcome(spec, status, _situation(error, spends=status.purchase is not None))

    async def _release(self, obj: Number, status: SmsNumberStatus) -> Outcome[SmsNumberStatus] | Finalized:
        """Give up the number that is held, or that a purchase under way may have bought."""
        organization = config_of(self._objects, obj.body)
        services = organization.communication_services if organization else None
        if services is None:
            return report.outcome(
                obj.spec,
                status,
                Situation(
                    "ReleasePending",
                    f"deletionPolicy is Release, but the EHRConnectorConfig '{obj.spec.config_ref.name}' that says where"
                    " the number is held is gone: restore it, or set deletionPolicy: Retain",
                ),
            )
        try:
            situation = await self._give_up(obj, self._remotes.phone_numbers(services.endpoint))
        except UntrustedUrlError as exc:
            situation = Situation("EndpointNotTrusted", str(exc))
        except RemoteError as exc:
            situation = _situation(exc, spends=False)
        return situation if isinstance(situation, Finalized) else report.outcome(obj.spec, status, situation)

    async def _give_up(self, obj: Number, numbers: PhoneNumbers) -> Situation | Finalized:
        number = obj.status.phone_number
        if number is None:
            assert obj.status.purchase is not None  # noqa: S101 (finalize looked)
            reservation = await numbers.reservation(obj.status.purchase.reservation_id)
            if reservation is None or reservation.status not in {"submitted", "completed"} or not reservation.held:
                return Finalized()  # nothing was bought: a hold lapses by itself
            if reservation.status == "submitted":
                message = "a purchase is under way; its number is released as soon as it is bought"
                return Situation("ReleasePending", message, requeue_after_s=_RELEASE_POLL_S)
            number = reservation.held[0].phone_number
        if await numbers.owned_number(number) is None and obj.status.phone_number is not None:
            return Finalized((Note("NumberReleased", f"{number} was given up"),))
        try:
            await numbers.release(number)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND and obj.status.phone_number is None:
                return Finalized((Note("NumberReleased", f"{number} was given up"),))
            if exc.status not in {
                HTTPStatus.CONFLICT,
                HTTPStatus.NOT_FOUND,
            }:  # conflict: a release is under way already
                raise
        message = f"Communication Services is releasing {number}"
        return Situation("ReleasePending", message, requeue_after_s=_RELEASE_POLL_S)

    def _organization(self, obj: Number) -> tuple[Situation | None, EHRConnectorConfigSpec | None]:
        name = obj.spec.config_ref.name
        organization = config_of(self._objects, obj.body)
        if organization is None:
            return Situation("ConfigNotFound", f"waiting for the EHRConnectorConfig '{name}' in this namespace"), None
        if organization.communication_services is None:
            return (
                Situation(
                    "CommunicationServicesMissing",
                    f"the EHRConnectorConfig '{name}' needs communicationServices.endpoint: the resource for the number",
                ),
                None,
            )
        if not organization.consent_recorded:
            return (
                Situation(
                    "ConsentMissing",
                    f"the EHRConnectorConfig '{name}' needs both consents in smsNotifications.consent, with who and when,"
                    " before a number is taken or bought",
                ),
                None,
            )
        return None, organization

    def _linked(self, obj: Number) -> list[str]:
        return [key.name for key in endpoints_with_number(self._objects, obj.key.namespace, obj.key.name)]

    def _claimed(self, own: Key, claims: Claims) -> set[str]:
        """Return the numbers of all other SmsNumbers, in whatever namespace: a resource may serve several."""
        taken = {number for key, number in claims.of.items() if key != own}
        for body in self._objects.list(self.kind, ""):
            metadata = body["metadata"]
            if Key(self.kind, metadata["namespace"], metadata["name"]) == own:
                continue
            status: dict[str, Any] = body.get("status", {})
            places: list[dict[str, Any]] = [body["spec"], status, status.get("purchase", {})]
            taken.update(place["phoneNumber"] for place in places if "phoneNumber" in place)
        return taken

    async def _read(self, obj: Number) -> Number:
        body = await self._api.read(obj.key)
        if body is None or body["metadata"]["uid"] != obj.uid:
            raise ConflictError(f"{obj.key} was deleted or replaced")
        return parse_object(self.kind, body, self.spec_type, self.status_type)


def _situation(error: RemoteError, *, spends: bool) -> Situation:
    match error:
        case TemporaryError(status=HTTPStatus.TOO_MANY_REQUESTS, operation="purchase reservation"):
            return Situation(
                "QuotaReached",
                "the quota of numbers is used up (one a tenant, unless Azure support has raised it): ask Azure support for a"
                " larger one, or adopt a number that is owned",
                backoff=PAID,
                retry_after_s=error.retry_after_s,
            )
        case TemporaryError():
            return Situation(
                "ProviderUnavailable",
                f"Communication Services gave no usable answer ({error.operation}, {error.detail}); it is tried again by"
                " itself",
                backoff=PAID if spends and error.retry_after_s else FREE,
                retry_after_s=error.retry_after_s,
            )
        case RefusedError():
            return situation_of(error)
        case ContractError() | _:
            return Situation(
                "UnexpectedAnswer",
                f"Communication Services answered in a way that this operator does not understand ({error.operation},"
                f" {error.detail})",
                backoff=FREE,
            )
