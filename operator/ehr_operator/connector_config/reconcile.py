"""The kind EHRConnectorConfig: hand the organisation to the connector, read it back, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ehr_api.conditions import Type, false, find
from ehr_api.control import MessagesReport
from ehr_api.meta import GROUP
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.errors import RemoteError
from ehr_operator.connector_config import report
from ehr_operator.connector_config.asked import graph_reports, messages_reports
from ehr_operator.connector_config.document import Memo, configuration
from ehr_operator.connector_config.push import DETACH, Config, Pusher
from ehr_operator.connector_config.texts import sms_ready
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import (
    Api,
    Backoff,
    Body,
    Change,
    Failure,
    Finalized,
    Key,
    Objects,
    Outcome,
    State,
    TryLaterError,
)
from ehr_operator.sms_number_refusals import Refusals, may_text
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

_BACKOFF = Backoff(base_s=1.0, max_s=60.0)
"""The connector is ours: a short way, and asked again within a minute of its return."""
_LONG_S = 0.1
_REST = 2.0
"""Rest after a long pass, as a multiple of what it took."""
_CHECK_S = 60.0
"""The configuration is read back this often, to find drift."""


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

    def __init__(
        self,
        api: Api,
        objects: Objects,
        remotes: Remotes,
        jitter: Callable[[float], float],
        sightings: Sightings,
        refusals: Refusals,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._remotes = remotes
        self._pusher = Pusher(api, remotes)
        self._jitter = jitter
        self._sightings = sightings
        self._refusals = refusals
        self._monotonic = monotonic
        self._graph = graph_reports(remotes, monotonic)
        self._messages = messages_reports(remotes, monotonic)
        self._memos: dict[str, Memo] = {}
        self._paces: dict[str, tuple[float, float]] = {}
        """When the last pass over an organisation ended, and how long it took, in seconds."""
        self._asked_s: dict[str, float] = {}
        """When the connector was last asked what it has seen of an organisation."""

    def signal(self, body: Body) -> Hashable:
        """Endpoints and numbers look at the spec alone; the outcome of a push wakes them by itself."""
        return body["metadata"].get("generation"), is_deleting(body)

    def may_go(self, body: Body) -> bool:
        """Let go what was never sent to a connector."""
        return "sentConfigurationDigest" not in body.get("status", {})

    def related(self, body: Body) -> Iterable[Key]:
        """Wake every endpoint and number of the organisation."""
        key = key_of(CONFIG, body)
        for kind in (ENDPOINT, NUMBER):
            for other in self._objects.find(kind, key.namespace, BY_CONFIG, key.name):
                yield key_of(kind, other)

    def mended_by(self, change: Change) -> bool:
        """Whatever is related may have mended it."""
        return True

    async def reconcile(self, obj: Config) -> Outcome[EHRConnectorConfigStatus]:
        """Make the connector hold the desired configuration."""
        self._rest(obj)
        began_s = self._monotonic()
        endpoints = endpoints_of(self._objects, obj.key)
        numbers = numbers_of(self._objects, obj.key)
        known = [body for body in endpoints if first_claim(self._objects, body) is body]
        desired = configuration(
            obj.key, obj.generation, obj.spec, known, senders(numbers), self._memos.setdefault(obj.uid, {})
        )
        suspended = frozenset(body["metadata"]["name"] for body in endpoints if body["spec"].get("suspend"))
        pushed = await self._pusher.push(obj, desired, suspended)
        self._paces[obj.uid] = (self._monotonic(), self._monotonic() - began_s)
        is_there = pushed.push.configured.status == "True"
        messages = await self._messages.of(obj) if is_there and obj.spec.sms_enabled else None
        # Where texts are off, nothing is known of any number.
        told = messages if obj.spec.sms_enabled else MessagesReport()
        refused = self._refusals.told(obj.key, told, numbers) if told is not None else ()
        findings = (
            report.consent(obj.spec),
            pushed.push.configured,
            report.endpoints_ready(endpoints),
            sms_ready(obj.spec, endpoints, numbers, messages),
            report.graph_authorized(
                await self._graph.of(obj) if is_there else None, find(obj.status.conditions, Type.GRAPH_AUTHORIZED)
            ),
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
            wake=(*pushed.wake, *refused, *await self._newly_seen(obj)),
            notes=pushed.notes,
            warning=False if reason in report.TOLD_ELSEWHERE else None,
        )

    async def finalize(self, obj: Config) -> Outcome[EHRConnectorConfigStatus] | Finalized:
        """Remove the configuration from the connector, which then serves the organisation no more."""
        self._memos.pop(obj.uid, None)
        self._graph.forget(obj.uid)
        self._messages.forget(obj.uid)
        self._refusals.forget(obj.key)
        self._paces.pop(obj.uid, None)
        self._asked_s.pop(obj.uid, None)
        if obj.spec.suspend and obj.status.sent_configuration_digest is not None and not _detached(obj):
            message = (
                "spec.suspend is true, so the connector keeps the configuration. Author: set it to false; platform team: or"
                f" annotate this object with {DETACH}=true. This goes on as soon as that is done"
            )
            return _blocked(obj, "Suspended", message)
        # Where controlURL led when it was sent: a connector that it names since then was given nothing.
        holder = obj.status.control_url or obj.spec.connector.control_url
        try:
            await self._remotes.control(holder).forget(obj.key.namespace, obj.key.name)
        except (RemoteError, UntrustedUrlError) as exc:
            if obj.status.sent_configuration_digest is None or _detached(obj):
                return Finalized()
            message = (
                f"the connector {holder} still holds the configuration and did not let it go ({exc}). Platform team: bring it back;"
                f" or, to leave the configuration there, annotate this object with {DETACH}=true. Tried again by itself; when"
                " stands in status.retry"
            )
            return _blocked(obj, "DeletionBlocked", message, failure=Failure(_BACKOFF))
        return Finalized()

    async def _newly_seen(self, obj: Config) -> tuple[Key, ...]:
        """Ask now and then by which records there were launches; return the records for which that is news."""
        now = self._monotonic()
        if now - self._asked_s.get(obj.uid, -_CHECK_S) < _CHECK_S / 2:
            return ()
        self._asked_s[obj.uid] = now
        try:
            control = self._remotes.control(obj.spec.connector.control_url)
            return self._sightings.told(obj.key.namespace, await control.evidence(obj.key.namespace, obj.key.name))
        except (RemoteError, UntrustedUrlError):
            return ()  # `ConnectorConfigured` tells of a connector that cannot be asked

    def _rest(self, obj: Config) -> None:
        """Take changes together where a pass is long: thousands of endpoints are one document.

        Raises:
            TryLaterError: The last pass ended a moment ago.
        """
        ended_s, took_s = self._paces.get(obj.uid, (0.0, 0.0))
        wait_s = ended_s + _REST * took_s - self._monotonic()
        if took_s > _LONG_S and wait_s > 0:
            raise TryLaterError(wait_s)


def _detached(obj: Config) -> bool:
    return obj.annotations.get(DETACH) == "true"


def _blocked(
    obj: Config, reason: str, message: str, *, failure: Failure | None = None
) -> Outcome[EHRConnectorConfigStatus]:
    return Outcome(
        state=State.RECONCILING,
        reason=reason,
        message=message,
        findings=(false(Type.CONNECTOR_CONFIGURED, reason, message),),
        status=obj.status,
        failure=failure,
    )


def senders(numbers: list[Body]) -> dict[str, str]:
    """Return the numbers that may text, by the name of their object."""
    return {
        body["metadata"]["name"]: body["status"]["phoneNumber"]
        for body in numbers
        if "phoneNumber" in body.get("status", {}) and may_text(body)
    }
