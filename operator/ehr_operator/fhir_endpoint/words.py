"""Words that every condition of an endpoint uses: whose turn it is, and when the next look comes. Pure.

None of them holds a moving value, so that an unchanged result writes nothing: pauses are told by their rule.
"""

from __future__ import annotations

from dataclasses import replace

from ehr_api.conditions import Finding
from ehr_api.duration import seconds
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec

DEFAULT_INTERVAL = "5m"
SHORTEST_INTERVAL_S = 10.0
RETRY_S = 5.0
"""First pause after a failed validation; it doubles up to the interval."""
ASK_MAX_S = 60.0
"""The connector is ours: asked again at least this often while it gives no report."""

ASKED_AGAIN = f"The connector is asked again by itself: after {RETRY_S:g} s at first, every {ASK_MAX_S:g} s later"
_SHOWN = 120


def interval_s(spec: FhirEndpointSpec) -> float:
    """Return the seconds between two validations, at least ten."""
    return max(SHORTEST_INTERVAL_S, seconds(_interval(spec)))


def interval_text(spec: FhirEndpointSpec) -> str:
    """Return the interval as the spec writes it."""
    stated = _interval(spec)
    return stated if seconds(stated) >= SHORTEST_INTERVAL_S else f"{SHORTEST_INTERVAL_S:g}s"


def _interval(spec: FhirEndpointSpec) -> str:
    return (spec.validation.interval if spec.validation else None) or DEFAULT_INTERVAL


def looked_at_again(spec: FhirEndpointSpec) -> str:
    """Return when a failed endpoint is looked at again."""
    return f"Looked at again by itself: after {RETRY_S:g} s at first, every {interval_text(spec)} later"


def with_next_look(finding: Finding, spec: FhirEndpointSpec) -> Finding:
    """Return the finding, saying when the next look comes if it is one that failed."""
    if finding.status != "False":
        return finding
    return replace(finding, message=f"{finding.message}. {looked_at_again(spec)}")


def shown(text: object, limit: int = _SHOWN) -> str:
    """Return a server's own text, fit for a message: one line of printable ASCII, cut."""
    start = str(text)[: limit + 1]
    clean = "".join(letter if " " <= letter <= "~" else "?" for letter in start)
    return clean if len(clean) <= limit else f"{clean[:limit]}..."
