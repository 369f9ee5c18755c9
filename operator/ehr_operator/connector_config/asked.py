"""Asks connectors for a report on an organisation: on a change, and on an interval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ehr_api.control import GraphReport, MessagesReport
from ehr_api.digest import digest_of
from ehr_api.meta import REQUESTED_AT
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.control import Control
from ehr_clients.errors import RemoteError
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import Object

_Report = TypeVar("_Report")
_INTERVAL_S = 50.0
"""Below the interval at which an organisation is looked at; the connector keeps a good report for minutes anyway."""


@dataclass(frozen=True, slots=True)
class _Answer(Generic[_Report]):
    about: str
    at_s: float
    report: _Report | None


class Asked(Generic[_Report]):
    """The last report on each organisation."""

    def __init__(
        self,
        remotes: Remotes,
        monotonic: Callable[[], float],
        ask: Callable[[Control, str, str], Awaitable[_Report | None]],
        about: Callable[[EHRConnectorConfigSpec], dict[str, Any]],
    ) -> None:
        """Take how to ask, and the part of the spec whose change makes an answer old."""
        self._remotes = remotes
        self._monotonic = monotonic
        self._ask = ask
        self._about = about
        self._answers: dict[str, _Answer[_Report]] = {}

    async def of(self, obj: Object[EHRConnectorConfigSpec, EHRConnectorConfigStatus]) -> _Report | None:
        """Return the report; None when the connector gives none.

        An organisation is asked about once an interval, and when somebody wants it looked at.
        """
        wanted = {"controlURL": obj.spec.connector.control_url, "requestedAt": obj.annotations.get(REQUESTED_AT, "")}
        about = digest_of({**self._about(obj.spec), **wanted})
        last = self._answers.get(obj.uid)
        if last is not None and last.about == about and self._monotonic() - last.at_s < _INTERVAL_S:
            return last.report
        try:
            control = self._remotes.control(obj.spec.connector.control_url)
            report = await self._ask(control, obj.key.namespace, obj.key.name)
        except (RemoteError, UntrustedUrlError):
            report = None  # `ConnectorConfigured` tells of a connector that cannot be asked
        self._answers[obj.uid] = _Answer(about, self._monotonic(), report)
        return report

    def forget(self, uid: str) -> None:
        """Forget an organisation that is gone."""
        self._answers.pop(uid, None)


def graph_reports(remotes: Remotes, monotonic: Callable[[], float]) -> Asked[GraphReport]:
    """Return who asks whether online meetings can be held."""
    return Asked(remotes, monotonic, Control.graph, lambda spec: spec.microsoft365.to_api())


def messages_reports(remotes: Remotes, monotonic: Callable[[], float]) -> Asked[MessagesReport]:
    """Return who asks which messages wait, and whose texts do not arrive."""
    return Asked(remotes, monotonic, Control.messages, lambda _: {})
