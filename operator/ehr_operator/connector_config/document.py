"""The configuration of an organisation as one document. Pure: equal objects give an equal digest."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from ehr_api.conditions import Type
from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_api.profile import clinician_scopes, profile_digest, served_spec, system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, PromotedProfile
from ehr_operator.fhir_endpoint.verdicts import url_verdict
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import condition_reason, condition_status

Memo = dict[str, tuple[Hashable, EndpointConfiguration | None]]
"""The endpoints of the last document by name, each with what it was made of: most of thousands stay as they are."""


def configuration(
    organization: Key,
    generation: int,
    spec: EHRConnectorConfigSpec,
    endpoints: Iterable[Body],
    sender_of: dict[str, str],
    memo: Memo,
) -> OrganizationConfiguration:
    """Return the desired configuration.

    `sender_of` gives the phone number of each SmsNumber that may text. Every well-formed endpoint is in the document,
    since the connector needs it for the probes; the caller leaves out those whose base URL another one had first. One
    is active once it is validated and promoted. `memo` is brought up to date; it changes nothing but the time taken.
    """
    fresh: Memo = {}
    for body in endpoints:
        name: str = body["metadata"]["name"]
        number: str | None = body["spec"].get("smsNumberRef", {}).get("name")
        sender = sender_of.get(number) if number else None
        held = _held_profile(body)
        made_of = (
            body["metadata"]["uid"],
            body["metadata"]["generation"],
            generation,
            _is_active(body),
            _is_forced(body),
            sender,
            str(held and held["digest"]),
        )
        known = memo.get(name)
        fresh[name] = known if known and known[0] == made_of else (made_of, _endpoint(body, spec, sender))
    memo.clear()
    memo.update(fresh)
    return OrganizationConfiguration(
        namespace=organization.namespace,
        name=organization.name,
        display_name=spec.display_name,
        data_geography=spec.data_geography,
        ehr=spec.ehr,
        public_url=spec.connector.public_url,
        microsoft365=spec.microsoft365,
        communication_services=spec.communication_services,
        sms_notifications=spec.sms_notifications,
        email_notifications=spec.email_notifications,
        visits=spec.visits,
        reports=spec.reports,
        endpoints=[part for name in sorted(fresh) if (part := fresh[name][1]) is not None],
    )


def _endpoint(body: Body, organization: EHRConnectorConfigSpec, sender: str | None) -> EndpointConfiguration | None:
    """Return the endpoint's part, or None when its address is not well-formed."""
    desired = FhirEndpointSpec.model_validate(body["spec"])
    if url_verdict(desired, claimed_by=None).status != "True":
        return None
    held = _held_profile(body)
    promoted = PromotedProfile.model_validate(held) if held is not None else None
    spec = served_spec(desired, promoted) if promoted is not None else desired
    holds_back = promoted is not None and spec is not desired
    return EndpointConfiguration(
        name=body["metadata"]["name"],
        base_url=spec.base_url,
        environment=spec.environment,
        active=_is_active(body),
        departments=spec.departments,
        clinician_client_id=spec.smart.clinician_client_id,
        clinician_scopes=clinician_scopes(spec),
        system_client_id=spec.smart.system_client_id,
        system_scopes=system_scopes(spec),
        appointments=spec.appointments,
        sender_number=sender if spec.sms_number_ref is not None else None,
        promotion_forced=True if _is_forced(body) else None,
        profile_digest=promoted.digest if promoted is not None and holds_back else profile_digest(spec, organization),
    )


def _held_profile(body: Body) -> dict[str, Any] | None:
    """Return the profile that Production serves whatever its spec asks for; None where it was not promoted by evidence.

    It is looked up here, not in a condition: between a change of the spec and the endpoint's next reconcile, the conditions
    are those of the spec before.
    """
    if _is_forced(body):
        return None
    return body.get("status", {}).get("promotedProfile")


def _is_forced(body: Body) -> bool:
    return condition_reason(body, Type.PROMOTED) == "Forced"


def _is_active(body: Body) -> bool:
    return all(condition_status(body, type_) == "True" for type_ in (Type.VALIDATED, Type.PROMOTED))
