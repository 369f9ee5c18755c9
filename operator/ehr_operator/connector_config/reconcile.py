"""The kind EHRConnectorConfig: hand the organisation to the connector, read it back, report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from ehr_api.conditions import Type, false, true, unknown
from ehr_api.control import OrganizationConfiguration, differing_fields
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import DriftPolicy, EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.control import Control, ControlRefusedError, HeldConfiguration
from ehr_clients.errors import RemoteError
from ehr_operator.connector_config import report
from ehr_operator.connector_config.document import Memo, configuration
from ehr_operator.connector_config.report import Push
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import Backoff, Body, Failure, Finalized, Key, Note, Object, Objects, Outcome, State
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
    digest: str | None
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

    def __init__(self, objects: Objects, remotes: Remotes, jitter: Callable[[float], float]) -> None:
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
            "configuration_digest": pushed.digest,
            "endpoints": len(endpoints),
            "ready_endpoints": ready,
        }
        return Outcome(
            state=state,
            reason=reason,
            message=message,
            findings=findings,
            status=obj.status.model_copy(update=changes),
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
            if obj.status.configuration_digest is None or obj.annotations.get(DETACH) == "true":
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
        standing = obj.status.configuration_digest
        try:
            control = self._remotes.control(obj.spec.connector.control_url)
            held = await control.configuration(obj.key.namespace, obj.key.name)
            return await self._converge(obj, desired, control, held)
        except UntrustedUrlError as exc:
            return _failed("ControlUrlNotTrusted", str(exc), standing, again=False)
        except ControlRefusedError as exc:
            return _failed(_REFUSALS.get(exc.status, "ConnectorRefused"), exc.explanation, standing)
        except RemoteError as exc:
            return _failed(
                "ConnectorUnavailable",
                f"the connector gave no usable answer ({exc.operation}, {exc.detail}); it is tried again by itself",
                standing,
            )

    async def _converge(
        self, obj: Config, desired: OrganizationConfiguration, control: Control, held: HeldConfiguration | None
    ) -> Pushed:
        digest = desired.digest()
        configured = true(
            Type.CONNECTOR_CONFIGURED, "Configured", "the connector was read back to hold this configuration"
        )
        if held is not None and held.digest == digest:
            return Pushed(Push(configured, _NOT_DRIFTED), digest)
        fields = _drift(obj, held, desired)
        if fields is not None and (obj.spec.suspend or obj.spec.drift_policy is DriftPolicy.REPORT):
            drifted = true(
                Type.DRIFTED, "ChangedInConnector", f"the connector's configuration was changed there: {fields}"
            )
            return Pushed(Push(configured, drifted), obj.status.configuration_digest)
        if obj.spec.suspend:
            return Pushed(
                Push(unknown(Type.CONNECTOR_CONFIGURED, "Suspended", "spec.suspend is true"), _NOT_DRIFTED), None
            )
        replaced = await control.configure(desired, replaces=held.digest if held else None)
        if replaced != digest:
            return _failed(
                "DigestDiffers", "the connector read the configuration differently: operator and connector must be"
                " of versions that fit", None,
            )  # fmt: skip
        notes = (
            ()
            if fields is None
            else (Note("DriftCorrected", f"changed back in the connector: {fields}", warning=True),)
        )
        return Pushed(Push(configured, _NOT_DRIFTED), digest, _changed_endpoints(obj.key, desired, held), notes)


_NOT_DRIFTED = false(Type.DRIFTED, "InSync", "nobody changed the connector's configuration behind the operator's back")
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


def _drift(obj: Config, held: HeldConfiguration | None, desired: OrganizationConfiguration) -> str | None:
    """Return the fields that somebody changed in the connector, or None when what is held is our own last word."""
    last = obj.status.configuration_digest
    if last is None or (held is not None and held.digest == last):
        return None
    if held is None:
        return "the whole configuration was removed"
    return ", ".join(differing_fields(desired, held.document)) or "the stated digest"


def _changed_endpoints(
    organization: Key, desired: OrganizationConfiguration, held: HeldConfiguration | None
) -> tuple[Key, ...]:
    """Return the endpoints that the connector learned of just now: their probes with a key can run."""
    listed = held.document.get("endpoints") if held else None
    endpoints = listed if isinstance(listed, list) else []
    known = {str(item["name"]) for item in endpoints if isinstance(item, dict)}
    return tuple(
        Key(ENDPOINT, organization.namespace, endpoint.name)
        for endpoint in desired.endpoints
        if endpoint.name not in known
    )


def _failed(reason: str, message: str, digest: str | None, *, again: bool = True) -> Pushed:
    return Pushed(
        Push(
            false(Type.CONNECTOR_CONFIGURED, reason, message),
            unknown(Type.DRIFTED, "NotChecked", "the connector's configuration could not be read"),
        ),
        digest,
        failed=again,
    )
