"""Which regions and data locations belong to a geography: patients' data stays in one.

Sources: Azure regions (learn.microsoft.com/azure/reliability/regions-list; only regions with availability zones are named);
data locations of Communication Services, which are fixed when the resource is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Geography(StrEnum):
    """A part of the world; the same three as in `spec.dataGeography` of an EHRConnectorConfig."""

    AMERICAS = "Americas"
    EUROPE = "Europe"
    ASIA_PACIFIC = "AsiaPacific"


@dataclass(frozen=True, slots=True)
class Territory:
    """Where the data of a geography may be; the first of each is the default."""

    regions: tuple[str, ...]
    data_locations: tuple[str, ...]
    utc_offset: int
    """Hours, in the middle of it: when nobody has a visit is a matter of local time."""


TERRITORIES = {
    Geography.AMERICAS: Territory(
        regions=(
            "eastus2",
            "eastus",
            "centralus",
            "southcentralus",
            "westus2",
            "westus3",
            "canadacentral",
            "brazilsouth",
            "mexicocentral",
        ),
        data_locations=("United States", "Canada", "Brazil"),
        utc_offset=-6,
    ),
    Geography.EUROPE: Territory(
        regions=(
            "westeurope",
            "northeurope",
            "francecentral",
            "germanywestcentral",
            "italynorth",
            "norwayeast",
            "polandcentral",
            "spaincentral",
            "swedencentral",
            "switzerlandnorth",
            "uksouth",
        ),
        data_locations=("Europe", "France", "Germany", "Norway", "Switzerland", "UK"),
        utc_offset=1,
    ),
    Geography.ASIA_PACIFIC: Territory(
        regions=(
            "southeastasia",
            "eastasia",
            "australiaeast",
            "centralindia",
            "japaneast",
            "koreacentral",
            "newzealandnorth",
        ),
        data_locations=("Asia Pacific", "Australia", "India", "Japan", "Korea"),
        utc_offset=8,
    ),
}

EVERYWHERE = "global"
"""The location of resources that hold no data in a region, such as a DNS zone."""


def outside(geography: Geography, location: str) -> bool:
    """Whether a resource with this `location` would be outside the geography; Azure takes 'East US 2' for 'eastus2'."""
    normal = location.replace(" ", "").lower()
    return normal != EVERYWHERE and normal not in TERRITORIES[geography].regions


def data_outside(geography: Geography, data_location: str) -> bool:
    """Whether data at rest in this data location would be outside the geography."""
    return data_location not in TERRITORIES[geography].data_locations
