"""Whatever JSON a server sends: five verdicts in one line of plain text each, and a status that the API server can keep."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.operator.conftest import BASE_URL, START, endpoint_spec
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, SMART, answered

from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, FhirEndpointStatus
from ehr_operator.fhir_endpoint.facts import facts_of
from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.fhir_endpoint.verdicts import network_verdicts

SPEC = FhirEndpointSpec.model_validate(endpoint_spec())
WORDS = sorted({*CAPABILITIES, *SMART, "type", "interaction", "code", "url", "resource", "registration_endpoint"})
TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "\ud800",
            "\x00",
            "\n",
            "https://[",
            "https://x:y",
            BASE_URL,
            "//",
            "javascript:x",
            "Appointment",
            "S256",
            "plain",
        ]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(WORDS), TEXTS), inner, max_size=4)
    ),
    max_leaves=12,
)
CHANGES = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=5)


@settings(deadline=None, max_examples=300)
@given(CHANGES, CHANGES)
@example(
    {"name": "\ud83d", "publisher": "\udc00"}, {"issuer": "https://\ud800", "capabilities": ["\udfff", "launch-ehr"]}
)
@example({"implementation": {"url": "https://[::1"}}, {"token_endpoint": "https://[", "jwks_uri": "https://x:99999"})
def test_no_document_breaks_the_verdicts_or_the_status(metadata: dict[str, Any], smart: dict[str, Any]) -> None:
    seen = Observation(answered({**CAPABILITIES, **metadata}), answered({**SMART, **smart}))

    found = network_verdicts(SPEC, seen, [0.1], START)
    status = FhirEndpointStatus(**facts_of(seen)).to_api()

    assert len(found) == 5
    assert all(one.message.isprintable() and one.message.isascii() and len(one.message) < 1000 for one in found)
    assert json.loads(json.dumps(status).encode()) == status
    assert FhirEndpointStatus.model_validate(status).to_api() == status
