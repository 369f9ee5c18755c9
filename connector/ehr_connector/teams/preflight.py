"""Looks whether online meetings can be held in an organisation's tenant, before a patient waits for one.

It only reads: a token with its permissions (that to read call records is advice, unless call quality is asked for), each organiser's account and licences, and whether an application access
policy lets the application act for the organiser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from ehr_api.control import GraphFinding, GraphReason, GraphReport, OrganizationConfiguration
from ehr_api.digest import digest_of
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.graph import Graph, LicenseDetails
from ehr_connector.reports.quality.judgement import is_configured
from ehr_connector.store.graph_refusals import GraphRefusals
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.refusals import (
    RECORDS_ROLE,
    REQUIRED_ROLES,
    TeamsError,
    access_policy_missing,
    call_records_not_permitted,
    finding_of,
    limit_reached,
    organizer_disabled,
    organizer_not_found,
    organizer_not_licensed,
    permissions_missing,
    throttled,
)

_AT_A_TIME = 8
_LIMIT_S = 20.0
"""The operator waits for the report."""
_GOOD_S, _BAD_S = 300.0, 30.0
"""How long a report holds: one without findings longer, so that what was mended shows soon."""
_TEAMS_PLANS = frozenset({"TEAMS1", "TEAMS_GOV", "TEAMS_GCCHIGH", "TEAMS_AR_DOD", "TEAMS_AR_GCCHIGH"})
"""Service plans that hold Teams. Source: "Product names and service plan identifiers for licensing"."""
_WORKS = frozenset({"Success", "PendingActivation", "PendingProvisioning", "PendingInput"})


_REFUSALS: Mapping[GraphReason, Callable[[OrganizationConfiguration], GraphFinding]] = {
    GraphReason.MEETING_LIMIT_REACHED: limit_reached,
    GraphReason.THROTTLED: throttled,
}


@dataclass(frozen=True, slots=True)
class _Held:
    report: GraphReport
    until_s: float


class Preflight:
    """Looks, and keeps what it saw for some minutes."""

    def __init__(
        self,
        access: GraphAccess,
        refusals: GraphRefusals,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._access = access
        self._refusals = refusals
        self._now = now
        self._monotonic = monotonic
        self._held: dict[str, _Held] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def report(self, organization: OrganizationConfiguration) -> GraphReport:
        """Return what stands in the way; never raises for what Microsoft's services do."""
        report = await self._recent(organization)
        # Graph tells of no limit before a meeting is refused.
        refused = await self._refusals.of(organization.namespace, organization.name)
        known = {finding.reason for finding in report.findings}
        findings = [_REFUSALS[reason](organization) for reason in sorted(refused - known)]
        return report.model_copy(update={"findings": [*report.findings, *findings]})

    async def _recent(self, organization: OrganizationConfiguration) -> GraphReport:
        asks_for_quality = is_configured(organization.reports)
        key = digest_of({"microsoft365": organization.microsoft365.to_api(), "callQuality": asks_for_quality})
        async with self._locks.setdefault(key, asyncio.Lock()):
            held = self._held.get(key)
            if held is not None and self._monotonic() < held.until_s:
                return held.report
            report = await self._look(organization)
            life_s = _BAD_S if any(not finding.is_advice for finding in report.findings) else _GOOD_S
            self._forget_old()
            self._held[key] = _Held(report, self._monotonic() + life_s)
            return report

    def _forget_old(self) -> None:
        for key in [key for key, held in self._held.items() if self._monotonic() >= held.until_s]:
            del self._held[key]
            lock = self._locks.get(key)
            if lock is not None and not lock.locked():
                del self._locks[key]

    async def _look(self, organization: OrganizationConfiguration) -> GraphReport:
        roles: frozenset[str] = frozenset()
        organizers = sorted({one.lower() for one in organization.microsoft365.meeting_organizers})
        looked_at = 0
        try:
            async with asyncio.timeout(_LIMIT_S):
                token = await self._access.fresh_token(organization)
                # A token that we cannot read is taken at its word: what is missing shows at the calls.
                roles = token.roles if token.roles is not None else frozenset({*REQUIRED_ROLES, RECORDS_ROLE})
                missing = sorted(REQUIRED_ROLES.keys() - roles)
                if missing:
                    findings = [permissions_missing(organization, missing)]
                else:
                    gate = asyncio.Semaphore(_AT_A_TIME)
                    graph = self._access.of(organization)
                    found = await asyncio.gather(
                        *(self._organizer(gate, graph, organization, one) for one in organizers)
                    )
                    findings = [finding for finding in found if finding is not None]
                    if RECORDS_ROLE not in roles:
                        is_advice = not is_configured(organization.reports)
                        findings.append(call_records_not_permitted(organization, is_advice=is_advice))
                    looked_at = len(organizers)
        except TeamsError as exc:
            findings = [exc.finding]
        except (RemoteError, CredentialError) as exc:
            findings = [finding_of(exc, organization)]
        except TimeoutError:
            findings = [
                GraphFinding(
                    reason=GraphReason.UNAVAILABLE,
                    message=f"Microsoft Graph did not answer for {len(organizers)} organisers within {_LIMIT_S:g} s",
                    remedy="nothing, if it passes by itself",
                )
            ]
        return GraphReport(checked_at=self._now(), roles=sorted(roles), organizers=looked_at, findings=findings)

    async def _organizer(
        self, gate: asyncio.Semaphore, graph: Graph, organization: OrganizationConfiguration, organizer: str
    ) -> GraphFinding | None:
        """Return the first thing that stands in the way of an organiser."""
        async with gate:
            try:
                user = await graph.user(organizer)
                if user.account_enabled is False:
                    return organizer_disabled(organizer)
                if not _has_teams(await graph.licenses(organizer)):
                    return organizer_not_licensed(organizer)
            except RefusedError as exc:
                if exc.status == HTTPStatus.NOT_FOUND:
                    return organizer_not_found(organization, organizer)
                return finding_of(exc, organization, organizer)
            except (RemoteError, CredentialError) as exc:
                return finding_of(exc, organization, organizer)
            try:
                await graph.check_may_organize(organizer)
            except RefusedError as exc:
                # Everything else that could be refused was looked at before.
                if exc.status == HTTPStatus.FORBIDDEN:
                    return access_policy_missing(organization, organizer)
                return finding_of(exc, organization, organizer)
            except (RemoteError, CredentialError) as exc:
                return finding_of(exc, organization, organizer)
        return None


def _has_teams(licenses: Sequence[LicenseDetails]) -> bool:
    return any(
        plan.service_plan_name in _TEAMS_PLANS and plan.provisioning_status in _WORKS
        for one in licenses
        for plan in one.service_plans
    )
