"""Which scopes exist. Millennium has no wildcards: every resource is named, in the words of SMART 1 and of SMART 2."""

from __future__ import annotations

from collections.abc import Iterable

_INTERACTIONS = {
    "Appointment": ("crus", "read", "write"),
    "Encounter": ("crus", "read", "write"),
    "Location": ("read", "rs"),
    "Patient": ("crus", "read", "write"),
    "Practitioner": ("crs", "read", "write"),
}

_VERSION_1 = {"read": "rs", "write": "cud"}

SYSTEM_SCOPES = frozenset(f"system/{kind}.{verb}" for kind, verbs in _INTERACTIONS.items() for verb in verbs)
"""Scopes of system access."""

SUPPORTED_SCOPES = sorted(
    {
        "fhirUser", "launch", "offline_access", "online_access", "openid", "profile",
        *SYSTEM_SCOPES,
        *(f"user/{kind}.{verb}" for kind, verbs in _INTERACTIONS.items() for verb in verbs),
        *(f"patient/{kind}.{verb}" for kind, verbs in _INTERACTIONS.items() if kind not in {"Location", "Practitioner"} for verb in verbs),
    }
)  # fmt: skip
"""What the SMART configuration lists, of the 303 in Cerner's: those of the resources that visits need."""

CLINICIAN_SCOPES = frozenset(SUPPORTED_SCOPES) - SYSTEM_SCOPES
"""Scopes of an app that a clinician launches."""


def allows(scopes: Iterable[str], kind: str, interaction: str) -> bool:
    """Tell whether scopes allow an interaction with a resource type, by SMART 2's letter: `r` reads, `s` searches, `u` updates."""
    for scope in scopes:
        resource, _, verbs = scope.partition("/")[2].partition(".")
        if resource == kind and interaction in _VERSION_1.get(verbs, verbs):
            return True
    return False
