"""Names of Azure resources: the same on every run, within Azure's rules, and unique in Azure where they must be.

Source: Azure naming rules (learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_NAMESPACE: Final = uuid.UUID("6c1f1c5e-5d0a-5b0a-9a52-0b6f6f0f6d11")
"""Under which ids are derived from names; it must never change."""

RULES: Final[dict[str, str]] = {
    "resource group": r"[-\w._()]{1,90}(?<!\.)",
    "workspace": r"[A-Za-z0-9][-A-Za-z0-9]{2,61}[A-Za-z0-9]",
    "virtual network": r"[A-Za-z0-9][-\w.]{0,62}\w",
    "cluster": r"[A-Za-z0-9]([-\w]{0,61}[A-Za-z0-9])?",
    "node pool": r"[a-z][a-z0-9]{0,11}",
    "registry": r"[A-Za-z0-9]{5,50}",
    "vault": r"[A-Za-z]([A-Za-z0-9]|-(?!-)){1,22}[A-Za-z0-9]",
    "database server": r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]",
    "storage account": r"[a-z0-9]{3,24}",
    "communication": r"[A-Za-z0-9][-A-Za-z0-9]{0,61}[A-Za-z0-9]",
    "event grid": r"[A-Za-z0-9-]{3,50}",
    "identity": r"[A-Za-z0-9][-\w]{2,127}",
    "federated credential": r"[A-Za-z0-9][-\w]{2,119}",
    "any": r"[A-Za-z0-9][-\w.]{1,78}\w",
}
"""By kind of resource, the whole of what Azure accepts."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one stack: `ehr-dev-vnet`; where all of Azure shares one space of names, with six digits of a digest."""

    prefix: str
    stack: str
    tenant_id: str

    @property
    def digest(self) -> str:
        """Tells this stack from one of the same name in another tenant; it is the same on every run."""
        return hashlib.sha256(f"{self.tenant_id}/{self.prefix}/{self.stack}".encode()).hexdigest()[:6]

    def of(self, kind: str, suffix: str) -> str:
        """A name that is unique where the resource lives."""
        return _checked(kind, f"{self.prefix}-{self.stack}-{suffix}")

    def unique(self, kind: str, suffix: str) -> str:
        """A name that no one else in Azure has."""
        return _checked(kind, f"{self.prefix}-{self.stack}-{suffix}-{self.digest}")

    def unique_plain(self, kind: str, suffix: str) -> str:
        """The same for resources whose names have letters and digits only."""
        return _checked(kind, f"{self.prefix}{self.stack}{suffix}{self.digest}")

    def id(self, *parts: str) -> str:
        """A GUID derived from `parts`, for resources that are named by one (roles and their assignments)."""
        return str(uuid.uuid5(_NAMESPACE, "/".join([self.tenant_id, self.prefix, self.stack, *parts])))


def _checked(kind: str, name: str) -> str:
    matches: Callable[[str], re.Match[str] | None] = re.compile(RULES[kind]).fullmatch
    if matches(name) is None:
        raise ValueError(f"'{name}' is no name for a {kind}: it must match {RULES[kind]}")
    return name
