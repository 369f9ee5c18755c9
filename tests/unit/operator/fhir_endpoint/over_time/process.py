"""The operator's own runtime with the kind FhirEndpoint, on an API server in memory, in the loop's time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Hashable, Iterable
from datetime import timedelta
from typing import Any

from unit.operator.conftest import INDEXES, START, config_body, merged, resource
from unit.operator.fhir_endpoint.ehr import Connector, OrderedProbes
from unit.operator.runtime.cluster import MemoryKube, Write
from unit.operator.runtime.process import Notes

from ehr_api.meta import ApiModel, KindStatus
from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.fhir_endpoint.reconcile import FhirEndpointKind
from ehr_operator.fhir_endpoint.validation import Validator
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.controller import Controller
from ehr_operator.runtime.intake import Intake
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Change, Finalized, Key, Object, Outcome, State
from ehr_operator.views import CONFIG, ENDPOINT, NUMBER, RECORD


class EndpointCluster(MemoryKube):
    """Objects of our kinds; records are written by server-side apply."""

    def __init__(self) -> None:
        super().__init__(Metrics())
        self.put(config_body())

    async def apply(self, body: Body) -> Body:
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        self.writes.append(Write("record", key.name, body))
        standing = self.bodies.get(key) or resource(key.kind, key.name, {})
        applied = merged({**standing, "spec": {}}, body)
        return self._written(self._store(key, applied, "MODIFIED" if key in self.bodies else "ADDED"))

    def written_to(self, name: str) -> list[Any]:
        """The statuses that were written of one endpoint, in order."""
        return [write.body for write in self.writes if (write.what, write.name) == ("status", name)]


class TimedProbes(OrderedProbes):
    """Probes that remember when each address was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: dict[str, list[float]] = {}

    async def observe(self, base_url: str, timeout_s: float) -> Observation:
        self.looks.setdefault(base_url, []).append(asyncio.get_running_loop().time())
        return await super().observe(base_url, timeout_s)


class _Anything(ApiModel, extra="allow"):
    """A spec that nobody here reads."""


class _Idle:
    """Stands for the kinds that these tests are not about: looks at nothing and writes nothing."""

    plural = "others"
    spec_type = _Anything
    status_type = KindStatus
    finalizer: str | None = None
    workers = 1
    min_interval_s = 0.2
    indexes: tuple[str, ...] = ()

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def signal(self, body: Body) -> Hashable:
        return body["metadata"]["generation"]

    def may_go(self, body: Body) -> bool:
        return True

    def related(self, body: Body) -> Iterable[Key]:
        return ()

    def mended_by(self, change: Change) -> bool:
        return True

    async def reconcile(self, obj: Object[_Anything, KindStatus]) -> Outcome[KindStatus]:
        return Outcome(State.READY, "Idle", "nothing is done here", (), obj.status)

    async def finalize(self, obj: Object[_Anything, KindStatus]) -> Outcome[KindStatus] | Finalized:
        return Finalized()


class Running:
    """One process of the operator; it begins with a list, and the watch brings what comes after."""

    def __init__(self, cluster: EndpointCluster) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = cluster
        self.probes = TimedProbes()
        self.connector = Connector()
        spread = random.Random(20260302)
        self.metrics = metrics = Metrics()
        cache = Cache(INDEXES)
        validator = Validator(self.probes, self.connector, self.now, self._loop.time, spread.random)
        kinds = [
            FhirEndpointKind(cluster, cache, self.connector, validator, self.now),  # pyright: ignore[reportArgumentType]  # the tests' `delete` is what users do; no test here removes a record
            *(_Idle(kind) for kind in (CONFIG, NUMBER, RECORD)),
        ]
        self.events = Notes(cluster, metrics, self.now, self._loop.time)
        self._intake = Intake(kinds, cache, metrics, monotonic=self._loop.time)
        self._controller = Controller(
            self._intake,
            cluster,
            cache,
            self.events,
            metrics,
            self.now,
            random=spread.random,
            monotonic=self._loop.time,
        )
        cluster.on_write = self._intake.seen
        cluster.on_change = self._watch
        for kind in (CONFIG, NUMBER, RECORD, ENDPOINT):
            found = {key: body for key, body in cluster.bodies.items() if key.kind == kind}
            for body in found.values():
                self._intake.seen(kind, body)
            self._intake.listed(kind, set(found), cluster.version)
        self._running = asyncio.create_task(self._controller.run())

    def now(self) -> Any:
        """The time of day."""
        return START + timedelta(seconds=self._loop.time())

    def reconciles(self) -> float:
        """How many reconciles of endpoints there were, whatever came of them."""
        results = ("success", "requeue_after", "requeue", "error")
        sample, of = "controller_runtime_reconcile_total", self.metrics.registry.get_sample_value
        return sum(of(sample, {"controller": ENDPOINT, "result": result}) or 0.0 for result in results)

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        self._controller.stop()
        await self._running
        await self.connector.aclose()

    def _watch(self, type_: str, body: dict[str, Any]) -> None:
        deliver = self._intake.gone if type_ == "DELETED" else self._intake.seen
        self._loop.call_later(0.001, deliver, body["kind"], body)
