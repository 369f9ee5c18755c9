"""The address plan: which part of the stack's address space is for what, and which ranges are not its to take."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Self

PODS = IPv4Network("192.168.0.0/16")
"""Pods have an overlay of their own: outside the cluster they are seen with their node's address."""

SERVICES = IPv4Network("172.20.0.0/16")
"""Services have addresses inside the cluster only."""

AKS_OWN = tuple(map(IPv4Network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
"""What AKS keeps for itself: neither nodes nor pods nor services may have it.

Source: Azure Kubernetes Service documentation, "Configure Azure CNI networking", prerequisites.
"""


def taken(space: IPv4Network) -> IPv4Network | None:
    """Return the range that is in the way of an address space for the virtual network, if one is."""
    return next((other for other in (*AKS_OWN, PODS, SERVICES) if other.overlaps(space)), None)


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Which part of the address space is for what; it computes itself."""

    nodes: IPv4Network
    database: IPv4Network
    endpoints: IPv4Network
    pods: IPv4Network = PODS
    services: IPv4Network = SERVICES

    @classmethod
    def of(cls, space: IPv4Network) -> Self:
        """The plan of an address space of 16 to 20 bits: half to the nodes, the rest in 24 bits each."""
        nodes, rest = space.subnets(prefixlen_diff=1)
        database, endpoints, *_ = rest.subnets(new_prefix=24)
        return cls(nodes, database, endpoints)

    @property
    def dns_service_ip(self) -> str:
        """The address of the cluster's DNS, the tenth as usual."""
        return str(self.services[10])
