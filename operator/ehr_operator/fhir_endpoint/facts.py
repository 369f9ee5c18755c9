"""What is kept of an observation: a few fields, while the documents behind them are large and let go. Pure."""

from __future__ import annotations

from typing import Any

from ehr_api.v1alpha1.fhir_endpoint import SmartEndpoints
from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.fhir_endpoint.smart_configuration import strings


def facts_of(seen: Observation) -> dict[str, Any]:
    """Return the fields of status that an observation gives; what it did not see is left as it stands."""
    facts: dict[str, Any] = {}
    if seen.metadata.certificate_expiry is not None:
        facts["certificate_expiry"] = seen.metadata.certificate_expiry
    capability = seen.metadata.document
    if capability is not None:
        facts["fhir_version"] = _text(capability.get("fhirVersion"), 32)
        names = [str(capability[key]) for key in ("name", "publisher") if key in capability]
        facts["software"] = _text(" / ".join(names), 256)
    smart = seen.smart.document
    if smart is not None:
        facts["smart"] = SmartEndpoints(
            issuer=_text(smart.get("issuer"), 512),
            authorization_endpoint=_text(smart.get("authorization_endpoint"), 512),
            token_endpoint=_text(smart.get("token_endpoint"), 512),
            capabilities=sorted({_storable(name[:128]) for name in strings(smart.get("capabilities"))})[:100],
        )
    return facts


def _text(value: Any, limit: int) -> str | None:
    return _storable(value[:limit]) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """Return a text that the API server gives back as it got it: JSON may hold half characters, which are no Unicode."""
    return text.encode(errors="replace").decode()
