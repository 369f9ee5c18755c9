"""Metrics of the connector. No label holds anything about a person."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ehr_connector_http_requests", "Requests.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "ehr_connector_http_request_duration_seconds", "Time of a request.", ["route"], registry=self.registry
        )
        self.organizations = Gauge(
            "ehr_connector_organizations", "Organisations that are configured.", registry=self.registry
        )
        self.probes = Counter(
            "ehr_connector_probes", "Probes with our key, by outcome.", ["probe", "outcome"], registry=self.registry
        )
        self.launches = Counter(
            "ehr_connector_launches",
            "EHR launches, by who launched and how it ended.",
            ["initiated_by", "outcome"],
            registry=self.registry,
        )
        self.graph_subscriptions = Counter(
            "ehr_connector_graph_subscriptions",
            "What was done about subscriptions to meetings' events.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.graph_notifications = Counter(
            "ehr_connector_graph_notifications",
            "Notifications of Microsoft Graph, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.call_record_subscriptions = Counter(
            "ehr_connector_call_record_subscriptions",
            "What was done about the subscriptions to tenants' call records.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.call_records = Counter(
            "ehr_connector_call_records",
            "Attempts to fetch call records, by how they ended.",
            ["outcome"],
            registry=self.registry,
        )
        self.endpoints_worked_for = Gauge(
            "ehr_connector_endpoints_worked_for",
            "Endpoints whose coming visits this process reads.",
            registry=self.registry,
        )
        self.coming_visits = Gauge(
            "ehr_connector_coming_visits", "Coming visits that this process knows of.", registry=self.registry
        )
        self.appointment_reads = Counter(
            "ehr_connector_appointment_reads",
            "Readings of an endpoint's coming visits, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.messages = Counter(
            "ehr_connector_messages",
            "Messages to patients, by channel, occasion, and what became of them.",
            ["channel", "occasion", "outcome"],
            registry=self.registry,
        )
        self.answers = Counter(
            "ehr_connector_answers",
            "What the provider and patients answered, by what became of it.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.answer_reads = Counter(
            "ehr_connector_answer_reads",
            "Readings of the queue of answers, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.held_messages = Gauge(
            "ehr_connector_held_messages",
            "Messages that are due and wait, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.oldest_due_message = Gauge(
            "ehr_connector_oldest_due_message_seconds",
            "For how long the oldest message is due that could go out.",
            registry=self.registry,
        )
        self.oldest_due_report = Gauge(
            "ehr_connector_oldest_due_report_seconds",
            "For how long the oldest visit waits whose row in the reports is to be made anew.",
            registry=self.registry,
        )
        self.appointment_writes = Counter(
            "ehr_connector_appointment_writes",
            "Changes of appointments in the EHR, by what was written and how it ended.",
            ["what", "outcome"],
            registry=self.registry,
        )
