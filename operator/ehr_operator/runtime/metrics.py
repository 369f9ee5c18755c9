"""Metrics, named as controller-runtime names them, so that dashboards for it work unchanged."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """All metrics of the operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciles by result: success, requeue_after, error.",
            ["controller", "result"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of one reconcile.",
            ["controller"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.active = Gauge(
            "controller_runtime_active_workers", "Reconciles under way.", ["controller"], registry=self.registry
        )
        self.depth = Gauge("workqueue_depth", "Objects that wait to be reconciled.", ["name"], registry=self.registry)
        self.adds = Counter("workqueue_adds", "Objects put into the queue.", ["name"], registry=self.registry)
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Time an object waits before it is reconciled.",
            ["name"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._api_requests = Counter(
            "rest_client_requests", "Requests to the API server.", ["method", "code"], registry=self.registry
        )
        self.leading = Gauge(
            "leader_election_master_status",
            "1 in the process that leads, 0 in one that stands by.",
            ["name"],
            registry=self.registry,
        )
        self.events_dropped = Counter(
            "ehr_operator_events_dropped",
            "Kubernetes Events that were not posted: too many, or refused.",
            registry=self.registry,
        )

        self._external_calls = Counter(
            "ehr_operator_external_calls",
            "Calls to systems outside the cluster.",
            ["system", "operation", "outcome"],
            registry=self.registry,
        )
        self._external_seconds = Histogram(
            "ehr_operator_external_call_duration_seconds",
            "Time of one call to a system outside the cluster.",
            ["system", "operation"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.objects = Gauge("ehr_operator_objects", "Objects by state.", ["kind", "state"], registry=self.registry)
        self.validation_age = Gauge(
            "ehr_operator_validation_age_seconds",
            "Time since the EHR of a FhirEndpoint was last looked at.",
            ["endpoint"],
            registry=self.registry,
        )

    def external_call(self, system: str, operation: str, outcome: str, seconds: float) -> None:
        """Count one call to a system outside the cluster."""
        self._external_calls.labels(system, operation, outcome).inc()
        self._external_seconds.labels(system, operation).observe(seconds)

    def reconciled(self, controller: str, result: str, seconds: float) -> None:
        """Count one reconcile."""
        self._reconciles.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)

    def api_request(self, method: str, code: str) -> None:
        """Count one request to the API server."""
        self._api_requests.labels(method, code).inc()
