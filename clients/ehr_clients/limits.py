"""Limits of every call that leaves the process, with their units and reasons."""

from __future__ import annotations

CONNECT_TIMEOUT_S = 5.0
"""A server that does not accept a connection in this time is down for our purposes."""
ANSWER_TIMEOUT_S = 20.0
"""One whole answer, slow drips included. Cerner's slowest documented calls end before."""
PROBES_TIMEOUT_S = 60.0
"""The operator waits so long for a connector that asks somebody else; the connector ends before, to say who was slow."""
SPENDING_TIMEOUT_S = 8.0
"""A call that spends: short beside a leader's lease, so that its end still falls into the lease under which it began.
Its answer only names an operation; when it is late, the provider is asked what became of it."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""The largest answer read: Cerner's CapabilityStatement is below 1 MiB, a page of Appointments below 2 MiB."""
MAX_CONNECTIONS = 64
"""Open connections of one client: one operator validates that many endpoints at a time at the most."""
RETRY_AFTER_MAX_S = 24 * 3600.0
"""A longer Retry-After is cut to this, so that a wrong date does not stop us for years."""
