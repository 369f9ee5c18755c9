"""Asks connectors whether they can hold online meetings: on a change, and on an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ehr_api.control import GraphReport
from ehr_api.digest import digest_of
from ehr_api.meta import REQUESTED_AT
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.errors import RemoteError
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import Object

_INTERVAL_S = 50.0
"""Below the interval at which an organisation is looked at; the connector keeps a good report for minutes anyway."""


@dataclass(frozen=True, slots=True)
class _Asked:
    about: str
    at_s: float
    report: GraphReport | None


class GraphReports:
    """The last report on each organisation."""

    def __init__(self, remotes: Remotes, monotonic: Callable[[], float]) -> None:
        self._remotes = remotes
        self._monotonic = monotonic
        self._asked: dict[str, _Asked] = {}

    async def of(self, obj: Object[EHRConnectorConfigSpec, EHRConnectorConfigStatus]) -> GraphReport | None:
        """Return the report; None when the connector gives none.

        An organisation is asked about once an interval, and when somebody wants it looked at.
        """
        wanted = {"controlURL": obj.spec.connector.control_url, "requestedAt": obj.annotations.get(REQUESTED_AT, "")}
        about = digest_of({**obj.spec.microsoft365.to_api(), **wanted})
        asked = self._asked.get(obj.uid)
        if asked is not None and asked.about == about and self._monotonic() - asked.at_s < _INTERVAL_S:
            return asked.report
        try:
            control = self._remotes.control(obj.spec.connector.control_url)
            report = await control.graph(obj.key.namespace, obj.key.name)
        except (RemoteError, UntrustedUrlError):
            report = None  # `ConnectorConfigured` tells of a connector that cannot be asked
        self._asked[obj.uid] = _Asked(about, self._monotonic(), report)
        return report

    def forget(self, uid: str) -> None:
        """Forget an organisation that is gone."""
        self._asked.pop(uid, None)
