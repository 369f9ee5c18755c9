"""Field names as the Kubernetes API conventions ask."""

from __future__ import annotations

import pytest

from ehr_api.crd import KINDS, crd_of
from ehr_api.meta import api_name


@pytest.mark.parametrize(
    ("python", "api"),
    [
        ("name", "name"),
        ("display_name", "displayName"),
        ("base_url", "baseURL"),
        ("fhir_base_url", "fhirBaseURL"),
        ("jwks_url", "jwksURL"),
        ("redirect_uri", "redirectURI"),
        ("tenant_id", "tenantID"),
        ("clinician_client_id", "clinicianClientID"),
        ("sms_notifications", "smsNotifications"),
        ("test_recipients_secret_ref", "testRecipientsSecretRef"),
        ("last_handled_reconcile_at", "lastHandledReconcileAt"),
        ("microsoft365", "microsoft365"),
    ],
)
def test_a_field_name_is_lower_camel_case_with_each_acronym_in_one_case(python: str, api: str) -> None:
    assert api_name(python) == api


def test_kinds_plurals_and_short_names_are_unique() -> None:
    names = [crd_of(kind)["spec"]["names"] for kind in KINDS]
    words = [word for name in names for word in (name["plural"], name["singular"], *name["shortNames"])]

    assert len(set(words)) == len(words)
    assert all(name["categories"] == ["ehr"] for name in names)
