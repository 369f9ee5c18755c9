"""The few licenses that a user of the stand-in can have, with their service plans.

Source: Microsoft's list "Product names and service plan identifiers for licensing"; only plans that matter to meetings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A part of a license."""

    name: str
    id: str
    service: str


@dataclass(frozen=True, slots=True)
class Sku:
    """A license."""

    id: str
    plans: tuple[ServicePlan, ...]


_TEAMS = ServicePlan("TEAMS1", "57ff2da0-773e-42df-b2af-ffb7a2317929", "TeamspaceAPI")
_EXCHANGE = ServicePlan("EXCHANGE_S_ENTERPRISE", "efb87545-963c-4e0d-99df-69c6916d9eb0", "exchange")
_EXCHANGE_SMALL = ServicePlan("EXCHANGE_S_STANDARD", "9aaf7827-d63c-4b61-89c3-182f06f82e5c", "exchange")
_APPOINTMENTS = ServicePlan("TEAMSPRO_VIRTUALAPPT", "9104f592-f2a7-4f77-904c-ca5a5715883f", "TeamspaceAPI")

SKUS = {
    "SPE_E3": Sku("05e9a617-0261-4cee-bb44-138d3ef5d965", (_TEAMS, _EXCHANGE)),
    "SPE_E5": Sku("06ebc4ee-1bb5-47dd-8120-11324bc54e06", (_TEAMS, _EXCHANGE)),
    "EXCHANGESTANDARD": Sku("4b9405b0-7788-4568-add1-99614e613b69", (_EXCHANGE_SMALL,)),
    "Microsoft_Teams_Premium": Sku("36a0f3b3-adb5-49ea-bf66-762134cf063a", (_APPOINTMENTS,)),
}
"""Licenses by skuPartNumber."""
