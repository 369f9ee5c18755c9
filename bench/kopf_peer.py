"""A peer of bench/reconcile.py: the same reconcile as most Python teams write it, with Kopf's change handlers.

For each new generation it asks for CapabilityStatement and SMART configuration over one new TLS connection and sets a
condition for each check through `patch.status`, which Kopf sends as a merge patch: server-side apply is not its idiom.
"""

from __future__ import annotations

import os
import ssl
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import kopf

_TLS = ssl.create_default_context(cafile=os.environ["PEER_CA_FILE"])
_WAITING = "waiting for the EHRConnectorConfig 'bench' in this namespace. Author: apply it, or correct configRef;"
_WAITS = f"{_WAITING} this goes on as soon as it is there"
_UNASKED = f"{_WAITING} it is looked at as soon as it is there"
_HEADERS = {"Accept": "application/fhir+json, application/json;q=0.9"}
_RESOURCE = ("ehrconnector.io", "v1alpha1", "fhirendpoints")


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Keep Kopf's defaults, but for Events: the peer posts none, as ours posts only on change."""
    settings.posting.enabled = False


@kopf.on.create(*_RESOURCE)
@kopf.on.update(*_RESOURCE, field="spec")
@kopf.on.resume(*_RESOURCE)
async def validate(patch: kopf.Patch, meta: kopf.Meta, spec: kopf.Spec, status: kopf.Status, **_: Any) -> None:
    """Look at the EHR, and say in status what was found."""
    base = str(spec["baseURL"])
    conditions, facts = await _look(base)
    standing = {one["type"]: one for one in status.get("conditions", [])}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["conditions"] = [
        {
            "type": type_,
            "status": state,
            "reason": reason,
            "message": message,
            "observedGeneration": meta["generation"],
            "lastTransitionTime": standing[type_]["lastTransitionTime"]
            if type_ in standing and standing[type_]["status"] == state
            else now,
        }
        for type_, state, reason, message in conditions
    ]
    for name, value in facts.items():
        if name not in status:
            patch.status[name] = value


async def _look(base: str) -> tuple[list[tuple[str, str, str, str]], dict[str, Any]]:
    metadata: dict[str, Any] = {}
    smart: dict[str, Any] = {}
    problem = ""
    began_s = time.perf_counter()
    elapsed_s = 0.0
    try:
        async with httpx.AsyncClient(verify=_TLS, trust_env=False, timeout=httpx.Timeout(20.0, connect=5.0)) as http:
            metadata = (await http.get(f"{base}/metadata", headers=_HEADERS)).json()
            elapsed_s = time.perf_counter() - began_s
            smart = (await http.get(f"{base}/.well-known/smart-configuration", headers=_HEADERS)).json()
    except (httpx.HTTPError, ValueError) as exc:
        problem = type(exc).__name__
    resources = [one["type"] for rest in metadata.get("rest", []) for one in rest.get("resource", [])]
    checks = (
        ("DnsResolved", True, "Resolved", f"'{urlsplit(base).hostname}' has an address that may be connected to"),
        ("TlsTrusted", bool(metadata), "Trusted", "chain, name and dates of the certificate are accepted"),
        (
            "MetadataOk",
            metadata.get("fhirVersion") == "4.0.1" and "Appointment" in resources,
            "Fhir401",
            "FHIR 4.0.1 with search and patch of Appointment",
        ),
        (
            "SmartConfigured",
            "launch-ehr" in smart.get("capabilities", []) and "token_endpoint" in smart,
            "Configured",
            "EHR launch, PKCE with S256, and system access by a signed key are offered, at https addresses",
        ),
        (
            "LatencyOk",
            elapsed_s < 5.0,
            "FastEnough",
            "/metadata answers within 5s (95th percentile of 1 look when this was decided)",
        ),
    )
    found = [
        ("Ready", "False", "ConfigNotFound", _WAITS),
        ("Reconciling", "True", "ConfigNotFound", _WAITS),
        ("UrlWellFormed", "True", "WellFormed", "baseURL is an https URL"),
        *(
            (type_, "True", reason, message) if passed else (type_, "False", "Failed", problem or "not as it should be")
            for type_, passed, reason, message in checks
        ),
        ("TokenGranted", "Unknown", "ConfigNotFound", _UNASKED),
        ("AppointmentSearchOk", "Unknown", "ConfigNotFound", _UNASKED),
        ("Validated", "Unknown", "ConfigNotFound", f"TokenGranted: {_UNASKED}"),
        ("Promoted", "True", "NotRequired", "a Test endpoint serves without promotion"),
        ("SmsLinked", "True", "NotRequired", "no smsNumberRef: patients of this endpoint get no texts"),
    ]
    if not metadata:
        return found, {}
    return found, {
        "fhirVersion": metadata["fhirVersion"],
        "software": " / ".join(str(metadata[name]) for name in ("name", "publisher") if name in metadata),
        "latencyMilliseconds": round(elapsed_s * 1000),
        "lastValidated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "smart": {
            "issuer": smart.get("issuer"),
            "authorizationEndpoint": smart.get("authorization_endpoint"),
            "tokenEndpoint": smart.get("token_endpoint"),
            "capabilities": sorted(smart.get("capabilities", [])),
        },
    }
