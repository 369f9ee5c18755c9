"""The kind EHRConnectorConfig: hand the organisation to the connector, read it back, report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from ehr_api.conditions import Type, false, true, unknown
from ehr_api.control import OrganizationConfiguration
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.control import ControlRefusedError, HeldConfiguration
from ehr_clients.errors import RemoteError
from ehr_operator.connector_config import report
from ehr_operator.connector_config.document import Memo, configuration
from ehr_operator.connector_config.plan import InSync, Report, Rest, Send, plan
from ehr_operator.connector_config.report import Push
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import (
    Api,
    Backoff,
    Body,
    Failure,
    Finalized,
    Key,
    Note,
    Object,
    Objects,
    Outcome,
    State,
)
from ehr_operator.views import (
    BY_CONFIG,
    CONFIG,
    ENDPOINT,
    NUMBER,
    condition_status,
    endpoints_of,
    first_claim,
    is_deleting,
    key_of,
    numbers_of,
)

Config = Object[EHRConnectorConfigSpec, EHRConnectorConfigStatus]

DETACH = f"{GROUP}/detach"
_BACKOFF = Backoff(base_s=1.0, max_s=60.0)
"""The connector is ours: a short way, and asked again within a minute of its return."""
_CHECK_S = 60.0
"""The configuration is read back this often, to find drift."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one pass did to the connector."""

    push: Push
    status: EHRConnectorConfigStatus
    """The status as far as the pass got: what was sent, and what was read back."""
    wake: tuple[Key, ...] = ()
    notes: tuple[Note, ...] = ()
    failed: bool = False


class EHRConnectorConfigKind:
    """Configures the connector for one organisation."""

    kind = CONFIG
    plural = "ehrconnectorconfigs"
    spec_type = EHRConnectorConfigSpec
    status_type = EHRConnectorConfigStatus
    finalizer: str | None = f"{GROUP}/connector-configuration"
    workers = 8
    min_interval_s = 0.5
    indexes: tuple[str, ...] = ()

    def __init__(self, api: Api, objects: Objects, remotes: Remotes, jitter: Callable[[float], float]) -> None:
        self._api = api
        self._objects = objects
        self._remotes = remotes
        self._jitter = jitter
        self._memos: dict[str, Memo] = {}

    def signal(self, body: Body) -> Hashable:
        """Endpoints and numbers look at the spec alone; the outcome of a push wakes them by itself."""
        return body["metadata"].get("generation"), is_deleting(body)

    def related(self, body: Body) -> Iterable[Key]:
        """Wake every endpoint and number of the organisation."""
        key = key_of(CONFIG, body)
        for kind in (ENDPOINT, NUMBER):
            for other in self._objects.find(kind, key.namespace, BY_CONFIG, key.name):
                yield key_of(kind, other)

    async def reconcile(self, obj: Config) -> Outcome[EHRConnectorConfigStatus]:
        """Make the connector hold the desired configuration."""
        endpoints = endpoints_of(self._objects, obj.key)
        numbers = numbers_of(self._objects, obj.key)
        known = [body for body in endpoints if first_claim(self._objects, body) is body]
        desired = configuration(
            obj.key, obj.generation, obj.spec, known, _senders(numbers), self._memos.setdefault(obj.uid, {})
        )
        pushed = await self._push(obj, desired)
        findings = (
            report.consent(obj.spec),
            pushed.push.configured,
            report.endpoints_ready(endpoints),
            report.sms_ready(obj.spec, endpoints, numbers),
            report.graph_authorized(),
            pushed.push.drifted,
        )
        state, reason, message = report.summary(findings)
        ready = sum(condition_status(body, Type.READY) == "True" for body in endpoints)
        changes: dict[str, Any] = {
            "endpoints": len(endpoints),
            "ready_endpoints": ready,
        }
        return Outcome(
            state=state,
            reason=reason,
            message=message,
            findings=findings,
            status=pushed.status.model_copy(update=changes),
            requeue_after_s=self._jitter(_CHECK_S),
            failure=Failure(_BACKOFF) if pushed.failed else None,
            wake=pushed.wake,
            notes=pushed.notes,
        )

    async def finalize(self, obj: Config) -> Outcome[EHRConnectorConfigStatus] | Finalized:
        """Remove the configuration from the connector, which then serves the organisation no more."""
        self._memos.pop(obj.uid, None)
        try:
            await self._remotes.control(obj.spec.connector.control_url).forget(obj.key.namespace, obj.key.name)
        except (RemoteError, UntrustedUrlError) as exc:
            if obj.status.sent_configuration_digest is None or obj.annotations.get(DETACH) == "true":
                return Finalized()
            message = (
                f"the connector still holds the configuration and gave no usable answer ({exc}); it is tried again. To"
                f" leave the configuration there, annotate this object with {DETACH}=true"
            )
            return Outcome(
                state=State.RECONCILING,
                reason="DeletionBlocked",
                message=message,
                findings=(false(Type.CONNECTOR_CONFIGURED, "DeletionBlocked", message),),
                status=obj.status,
                failure=Failure(_BACKOFF),
            )
        return Finalized()

    async def _push(self, obj: Config, desired: OrganizationConfiguration) -> Pushed:
        status = obj.status
        try:
            control = self._remotes.control(obj.spec.connector.control_url)
            held = await control.configuration(obj.key.namespace, obj.key.name)
            step = plan(obj.spec, status, desired, held)
            if not isinstance(step, Send):
                return _unsent(step, status, desired)
            digest = desired.digest()
            if status.sent_configuration_digest != digest:
                # Written before it is sent, so that our own word is known again after whatever happens next.
                intended = status.model_copy(update={"sent_configuration_digest": digest})
                status = (await self._api.write_intent(obj, intended)).status
            stated = await control.configure(desired, replaces=held.digest if held else None)
        except UntrustedUrlError as exc:
            return _failed("ControlUrlNotTrusted", str(exc), status, again=False)
        except ControlRefusedError as exc:
            return _failed(_REFUSALS.get(exc.status, "ConnectorRefused"), exc.explanation, status)
        except RemoteError as exc:
            return _failed(
                "ConnectorUnavailable",
                f"the connector gave no usable answer ({exc.operation}, {exc.detail}); it is tried again by itself",
                status,
            )
        if stated != digest:
            message = (
                "the connector read the configuration differently: operator and connector must be of versions that fit"
            )
            return _failed("DigestDiffers", message, status)
        notes = ()
        if step.corrects is not None:
            notes = (Note("DriftCorrected", f"changed back in the connector: {step.corrects}", warning=True),)
        return Pushed(_IN_SYNC, _read_back(status, digest), _changed_endpoints(obj.key, desired, held), notes)


def _unsent(
    step: InSync | Report | Rest, status: EHRConnectorConfigStatus, desired: OrganizationConfiguration
) -> Pushed:
    match step:
        case InSync():
            return Pushed(_IN_SYNC, _read_back(status, desired.digest()))
        case Report(fields):
            message = f"the connector's configuration was changed there: {fields}"
            remedy = "bring the change into Git, or set driftPolicy: Correct to have it taken back"
            return Pushed(
                Push(
                    false(Type.CONNECTOR_CONFIGURED, "ChangedInConnector", f"{message}; {remedy}"),
                    true(Type.DRIFTED, "ChangedInConnector", message),
                ),
                status,
            )
        case Rest():
            rests = unknown(Type.CONNECTOR_CONFIGURED, "Suspended", "spec.suspend is true: nothing is sent")
            return Pushed(Push(rests, _NOT_DRIFTED), status)


def _read_back(status: EHRConnectorConfigStatus, digest: str) -> EHRConnectorConfigStatus:
    return status.model_copy(update={"configuration_digest": digest, "sent_configuration_digest": digest})


_NOT_DRIFTED = false(Type.DRIFTED, "InSync", "nobody changed the connector's configuration behind the operator's back")
_IN_SYNC = Push(
    true(Type.CONNECTOR_CONFIGURED, "Configured", "the connector was read back to hold this configuration"),
    _NOT_DRIFTED,
)
_REFUSALS = {
    401: "AccessDenied",
    403: "AccessDenied",
    409: "BaseUrlClaimed",
    412: "ChangedMeanwhile",
    422: "ConfigurationRefused",
}


def _senders(numbers: list[Body]) -> dict[str, str]:
    """Return the numbers that may text, by the name of their object."""
    return {
        body["metadata"]["name"]: body["status"]["phoneNumber"]
        for body in numbers
        if condition_status(body, Type.READY) == "True" and "phoneNumber" in body.get("status", {})
    }


def _changed_endpoints(
    organization: Key, desired: OrganizationConfiguration, held: HeldConfiguration | None
) -> tuple[Key, ...]:
    """Return the endpoints that the connector learned of just now: their probes with a key can run."""
    listed = held.document.get("endpoints") if held else None
    endpoints = listed if isinstance(listed, list) else []
    known = {str(item.get("name")) for item in endpoints if isinstance(item, dict)}
    return tuple(
        Key(ENDPOINT, organization.namespace, endpoint.name)
        for endpoint in desired.endpoints
        if endpoint.name not in known
    )


def _failed(reason: str, message: str, status: EHRConnectorConfigStatus, *, again: bool = True) -> Pushed:
    return Pushed(
        Push(
            false(Type.CONNECTOR_CONFIGURED, reason, message),
            unknown(Type.DRIFTED, "NotChecked", "the connector's configuration could not be read"),
        ),
        status,
        failed=again,
    )
