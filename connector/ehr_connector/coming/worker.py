"""The worker: holds leases on endpoints, and works for those that it holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.coming.endpoint import EndpointWork, Tools
from ehr_connector.coming.ports import Sites
from ehr_connector.directory import Site
from ehr_connector.notify.planner.held import EndpointKey, HeldSends
from ehr_connector.notify.planner.plan import channel_of
from ehr_connector.store.leases import Leases
from ehr_connector.visits.events import Kind

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""The work of a process that died passes on within this time and one renewal."""
_RENEW_S = 8.0
_LOOK_S = 0.5
_FAILED_S = 2.0
_AGAIN_S = 10.0


class ComingVisits:
    """One process's share of the endpoints."""

    def __init__(self, directory: Sites, leases: Leases, tools: Tools) -> None:
        self._directory = directory
        self._leases = leases
        self._tools = tools
        self._working: dict[str, tuple[EndpointWork, asyncio.Task[None]]] = {}
        self._wanted: dict[str, Site] = {}
        """The endpoints as they were configured when leases were taken last."""
        self._told: set[str] = set()
        """Reasons that stand in the metrics."""

    async def run(self) -> None:
        """Work until cancelled; then the leases are given back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_leases(), name="keep leases")
                tasks.create_task(self._follow(), name="follow events")
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End all work, then give the leases back."""
        await self._end(self._working)
        try:
            await self._leases.release()
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("leases are not given back and end by themselves: %s", type(exc).__name__)

    async def take_leases(self) -> None:
        """Take what is free, renew what is ours, and work for it and for nothing else."""
        wanted = self._wanted = await self._sites_with_work()
        ends_s = self._tools.monotonic() + LEASE.total_seconds()
        ours = await self._leases.take(sorted(wanted), LEASE) if wanted else set[str]()
        await self._end([url for url in self._working if url not in ours])
        for url in ours:
            if url not in self._working:
                begun = EndpointWork(wanted[url], self._tools)
                task = asyncio.create_task(_kept_working(begun), name="work for an endpoint")
                self._working[url] = (begun, task)
            work, _ = self._working[url]
            work.lease_ends_s = ends_s
            if work.site != wanted[url]:
                work.reconfigured(wanted[url])
        self._tell()
        self._tools.metrics.endpoints_worked_for.set(len(self._working))
        self._tools.metrics.coming_visits.set(sum(len(work) for work, _ in self._working.values()))

    def held(self) -> HeldSends:
        """Return which messages wait at the endpoints that this process works for."""
        found: dict[EndpointKey, Mapping[str, int]] = {}
        oldest_s = 0.0
        for work, _ in self._working.values():
            reasons, due_s = work.held()
            oldest_s = max(oldest_s, due_s)
            if reasons:
                site = work.site
                found[EndpointKey(site.namespace, site.organization_name, site.endpoint.name)] = reasons
        return HeldSends(found, oldest_s)

    def _tell(self) -> None:
        """Show what waits in the metrics."""
        held, metrics = self.held(), self._tools.metrics
        metrics.oldest_due_message.set(held.oldest_due_s)
        by_reason = held.by_reason()
        for reason in self._told | by_reason.keys():
            metrics.held_messages.labels(reason).set(by_reason.get(reason, 0))
        self._told |= by_reason.keys()

    async def _keep_leases(self) -> None:
        while True:
            try:
                await self.take_leases()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("leases: the database does not answer (%s)", type(exc).__name__)
                await asyncio.sleep(_FAILED_S)
            else:
                await self._until_due_or_changed()

    async def _until_due_or_changed(self) -> None:
        """Wait until leases are to be renewed; what is configured now does not wait for that."""
        for _ in range(int(_RENEW_S / _LOOK_S)):
            await asyncio.sleep(_LOOK_S)
            if await self._sites_with_work() != self._wanted:
                return

    async def _sites_with_work(self) -> dict[str, Site]:
        return {site.base_url: site for site in await self._directory.sites() if _has_work(site)}

    async def _follow(self) -> None:
        number: int | None = None
        seen: set[int] = set()
        events = self._tools.events
        while True:
            try:
                if number is None:
                    number = await events.newest()
                told = await events.since(number)
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("the log of events cannot be read: %s", type(exc).__name__)
                await asyncio.sleep(_FAILED_S)
                continue
            here = {one.visit for one in told if one.number not in seen and one.event.kind is Kind.IN_LOBBY}
            for visit in here:
                for work, _ in self._working.values():
                    work.happened(visit)
            seen = {one.number for one in told}
            number = max(number, *seen) if seen else number
            await asyncio.sleep(_LOOK_S)

    async def _end(self, urls: Iterable[str]) -> None:
        """Work no more for these endpoints."""
        tasks = [self._working.pop(url)[1] for url in tuple(urls)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_working(work: EndpointWork) -> None:
    while True:
        try:
            await work.run()
        except Exception:  # noqa: BLE001 (a fault of one endpoint ends no other's work)
            _log.exception("the work for an endpoint failed and is begun again")
        await asyncio.sleep(_AGAIN_S)


def _has_work(site: Site) -> bool:
    appointments = site.endpoint.appointments
    writes = appointments.write_back_links or appointments.write_back_arrival
    return site.endpoint.active and (bool(writes) or channel_of(site.organization) is not None)
