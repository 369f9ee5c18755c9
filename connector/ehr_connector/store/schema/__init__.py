"""The tables, as the newest migration leaves them, each in the module of what makes it change."""

from __future__ import annotations

from ehr_connector.store.schema.columns import Moment, metadata
from ehr_connector.store.schema.configuration import (
    base_url_claim,
    organization,
    profile_evidence,
    record_evidence,
    token_endpoint_claim,
)
from ehr_connector.store.schema.messages import held_message, notice, notice_reading, number_trouble, opt_out, send
from ehr_connector.store.schema.reports import audit_event, call_quality, call_record, report_due, report_visit
from ehr_connector.store.schema.sharing import lease, rate, single_use
from ehr_connector.store.schema.teams import graph_refusal, graph_subscription, tenant_subscription
from ehr_connector.store.schema.visits import account_link, guest_link, visit, visit_event

__all__ = [
    "Moment",
    "account_link",
    "audit_event",
    "base_url_claim",
    "call_quality",
    "call_record",
    "graph_refusal",
    "graph_subscription",
    "guest_link",
    "held_message",
    "lease",
    "metadata",
    "notice",
    "notice_reading",
    "number_trouble",
    "opt_out",
    "organization",
    "profile_evidence",
    "rate",
    "record_evidence",
    "report_due",
    "report_visit",
    "send",
    "single_use",
    "tenant_subscription",
    "token_endpoint_claim",
    "visit",
    "visit_event",
]
