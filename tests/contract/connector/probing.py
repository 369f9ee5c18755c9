"""Runs the probes of one endpoint."""

from __future__ import annotations

from typing import Any

from contract.connector.hospital import (
    endpoint_at,
)
from contract.connector.running import Connector


async def report_of(connector: Connector, base_url: str, **changes: Any) -> dict[str, Any]:
    """Configure one endpoint, run its probes, and return the report."""
    document = endpoint_at(base_url, **changes)
    await connector.put_new(document)
    return await connector.probe(document)


def outcomes(report: dict[str, Any]) -> tuple[str, str]:
    return report["token"]["outcome"], report["appointmentSearch"]["outcome"]
