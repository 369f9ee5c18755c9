"""Hands an organisation's configuration to its connector, and knows what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ValidationError

from ehr_api.conditions import Type, false, true, unknown
from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.control import Control, ControlRefusedError, HeldConfiguration
from ehr_clients.errors import RemoteError
from ehr_operator.connector_config.plan import InSync, Report, Rest, Send, Step, moves, plan, without
from ehr_operator.connector_config.report import Push, drift_corrected
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import Api, Key, Note, Object
from ehr_operator.views import ENDPOINT

Config = Object[EHRConnectorConfigSpec, EHRConnectorConfigStatus]

DETACH = f"{GROUP}/detach"
"""Annotation: `true` leaves in a connector what it holds, when it cannot be reached to forget it."""
_MOST_REFUSED = 20
"""Endpoints that are left out one by one, before the whole is called refused."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one pass did to the connector."""

    push: Push
    status: EHRConnectorConfigStatus
    """The status as far as the pass got: what was sent, and what was read back."""
    wake: tuple[Key, ...] = ()
    notes: tuple[Note, ...] = ()
    failed: bool = False


class Pusher:
    """Hands configurations over."""

    def __init__(self, api: Api, remotes: Remotes) -> None:
        self._api = api
        self._remotes = remotes

    async def push(self, obj: Config, desired: OrganizationConfiguration, suspended: frozenset[str]) -> Pushed:
        """Bring the connector in line with `desired`; `suspended` names endpoints whose part stays as it is there.

        Raises:
            ConflictError: Somebody changed the object meanwhile.
        """
        if obj.spec.suspend and moves(obj.spec, obj.status):
            # To leave one connector without going to the other would take the organisation out of service.
            return _unsent(Rest(), obj.status, desired)
        sending = _Sending(self._api, obj)
        try:
            await self._leave_former_connector(sending)
            control = self._remotes.control(obj.spec.connector.control_url)
            held = await control.configuration(obj.key.namespace, obj.key.name)
            desired = _with_suspended(desired, held, suspended)
            step = plan(obj.spec, sending.status, desired, held)
            if isinstance(step, Send):
                return await _send(sending, step, desired, control, held)
            return _unsent(step, sending.status, desired)
        except UntrustedUrlError as exc:
            return _failed("ControlUrlNotTrusted", str(exc), sending.status, again=False)
        except ControlRefusedError as exc:
            reason = _REFUSALS.get(exc.status, "ConnectorRefused")
            return _failed(reason, f"{exc.explanation.rstrip('.')}. {_REMEDIES[reason]}", sending.status)
        except RemoteError as exc:
            message = (
                f"the connector gave no usable answer ({exc.operation}, {exc.detail}). Platform team: bring it back, or open the"
                " way to it"
            )
            return _failed("ConnectorUnavailable", message, sending.status)

    async def _leave_former_connector(self, sending: _Sending) -> None:
        """Have the configuration forgotten where controlURL led before: two connectors must not serve one organisation."""
        obj, former = sending.obj, sending.status.control_url
        if former is None or not moves(obj.spec, obj.status):
            return
        if obj.annotations.get(DETACH) != "true":
            try:
                await self._remotes.control(former).forget(obj.key.namespace, obj.key.name)
            except RemoteError as exc:
                raise RemoteError(
                    exc.system, exc.operation, f"{exc.detail}, at {former}, which controlURL named before and which must"
                    f" forget the organisation first; to leave it there, annotate this object with {DETACH}=true",
                ) from exc  # fmt: skip
        await sending.write(
            configuration_digest=None, sent_configuration_digest=None, left_out_endpoints=None, control_url=None
        )


@dataclass
class _Sending:
    """The object as it was last written: each intent is written onto the one before."""

    api: Api
    obj: Config

    @property
    def status(self) -> EHRConnectorConfigStatus:
        return self.obj.status

    async def write(self, **changes: str | list[str] | None) -> None:
        self.obj = await self.api.write_intent(self.obj, self.status.model_copy(update=changes))


async def _send(
    sending: _Sending,
    step: Send,
    desired: OrganizationConfiguration,
    control: Control,
    held: HeldConfiguration | None,
) -> Pushed:
    """Send the document; an endpoint whose base URL belongs to somebody else is left out, and holds up nothing else."""
    refused: list[str] = []
    while True:
        digest = desired.digest()
        if held is not None and held.digest == digest:
            break
        if sending.status.sent_configuration_digest != digest:
            # Written before it is sent, so that our own word is known again after whatever happens next.
            await sending.write(
                sent_configuration_digest=digest,
                left_out_endpoints=refused or None,
                control_url=sending.obj.spec.connector.control_url,
            )
        try:
            stated = await control.configure(desired, replaces=held.digest if held else None)
        except ControlRefusedError as exc:
            claimed = [one.name for one in desired.endpoints if one.base_url == exc.base_url]
            if not claimed or len(refused) >= _MOST_REFUSED:
                raise
            refused += claimed
            desired = without(desired, claimed)
            continue
        if stated != digest:
            message = (
                "the connector read the configuration differently. Platform team: run an operator and a connector of versions"
                " that fit"
            )
            return _failed("DigestDiffers", message, sending.status)
        break
    status = _read_back(sending.status, digest, refused)
    notes, push = (), _in_part(refused) if refused else _IN_SYNC
    if step.corrects is not None:
        corrected = f"changed back in the connector: {step.corrects}"
        notes, push = (
            (Note("DriftCorrected", corrected, warning=True),),
            replace(push, drifted=drift_corrected(corrected)),
        )
    return Pushed(push, status, _changed_endpoints(sending.obj.key, desired, held), notes)


def _unsent(step: Step, status: EHRConnectorConfigStatus, desired: OrganizationConfiguration) -> Pushed:
    match step:
        case InSync():
            return Pushed(_IN_SYNC, _read_back(status, desired.digest(), []))
        case Report(fields):
            message = f"the connector's configuration was changed there: {fields}"
            remedy = (
                "Author: bring the change into Git, or set driftPolicy: Correct to have it taken back, as the next change in Git"
                " does too. Looked at again by itself every minute"
            )
            return Pushed(
                Push(
                    false(Type.CONNECTOR_CONFIGURED, "ChangedInConnector", f"{message}. {remedy}"),
                    true(Type.DRIFTED, "ChangedInConnector", f"{message}. {remedy}"),
                ),
                status,
            )
        case Rest() | Send():
            rests = unknown(
                Type.CONNECTOR_CONFIGURED,
                "Suspended",
                "spec.suspend is true: nothing is sent. Author: set it to false, and it is sent at once",
            )
            return Pushed(Push(rests, _NOT_DRIFTED), status)


def _read_back(status: EHRConnectorConfigStatus, digest: str, left_out: list[str]) -> EHRConnectorConfigStatus:
    return status.model_copy(
        update={
            "configuration_digest": digest,
            "sent_configuration_digest": digest,
            "left_out_endpoints": sorted(left_out) or None,
        }
    )


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
_REMEDIES = {
    "AccessDenied": "Platform team: compare the connector's EHR_CONNECTOR_CONTROL settings with the operator's token",
    "BaseUrlClaimed": "Author: remove the base URL there, or delete the FhirEndpoint here",
    "ChangedMeanwhile": "Nobody has to act: it is read again",
    "ConfigurationRefused": "Author: correct what it names",
    "ConnectorRefused": "Platform team: look into the connector's log",
}


def _in_part(refused: list[str]) -> Push:
    return Push(
        false(
            Type.CONNECTOR_CONFIGURED,
            "BaseUrlClaimed",
            f"the connector serves another organisation at the base URL of {', '.join(refused)}, and was configured"
            " without. Author: remove it there, or delete the FhirEndpoint here. Looked at again by itself every minute",
        ),
        _NOT_DRIFTED,
    )


def _failed(reason: str, message: str, status: EHRConnectorConfigStatus, *, again: bool = True) -> Pushed:
    next_try = "Tried again by itself; when stands in status.retry" if again else "This goes on as soon as that is done"
    return Pushed(
        Push(
            false(Type.CONNECTOR_CONFIGURED, reason, f"{message}. {next_try}"),
            unknown(
                Type.DRIFTED, "NotChecked", "the connector's configuration could not be read: see ConnectorConfigured"
            ),
        ),
        status,
        failed=again,
    )


def _held_endpoints(held: HeldConfiguration | None) -> dict[str, EndpointConfiguration]:
    listed = held.document.get("endpoints") if held else None
    found: dict[str, EndpointConfiguration] = {}
    for item in listed if isinstance(listed, list) else []:
        try:
            endpoint = EndpointConfiguration.model_validate(item)
        except ValidationError:
            continue  # whatever was made of it there, it counts as unknown
        found[endpoint.name] = endpoint
    return found


def _with_suspended(
    desired: OrganizationConfiguration, held: HeldConfiguration | None, suspended: frozenset[str]
) -> OrganizationConfiguration:
    """Return `desired` with the parts of suspended endpoints as the connector has them; it learns of no new one."""
    if not suspended:
        return desired
    standing = _held_endpoints(held)
    parts = [standing.get(endpoint.name) if endpoint.name in suspended else endpoint for endpoint in desired.endpoints]
    return desired.model_copy(update={"endpoints": [part for part in parts if part is not None]})


def _changed_endpoints(
    organization: Key, desired: OrganizationConfiguration, held: HeldConfiguration | None
) -> tuple[Key, ...]:
    """Return the endpoints that the connector can be asked about just now: it has learnt of them, or of how to probe them."""
    known = {name: endpoint.probe_digest for name, endpoint in _held_endpoints(held).items()}
    return tuple(
        Key(ENDPOINT, organization.namespace, endpoint.name)
        for endpoint in desired.endpoints
        if known.get(endpoint.name) != endpoint.probe_digest
    )
