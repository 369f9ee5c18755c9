"""The configuration of an organisation as one document. Pure: equal objects give an equal digest."""

from __future__ import annotations

from collections.abc import Iterable

from ehr_api.conditions import Type
from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_api.profile import clinician_scopes, profile_digest, system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.verdicts import url_verdict
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import condition_status


def configuration(
    organization: Key, spec: EHRConnectorConfigSpec, endpoints: Iterable[Body], sender_of: dict[str, str]
) -> OrganizationConfiguration:
    """Return the desired configuration.

    `sender_of` gives the phone number of each SmsNumber that may text. Every well-formed endpoint is in the document,
    since the connector needs it for the probes; the caller leaves out those whose base URL another one had first. One is active once it is validated and promoted.
    """
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
        endpoints=[
            _endpoint(body["metadata"]["name"], parsed, _is_active(body), spec, sender_of)
            for body in endpoints
            if url_verdict(parsed := FhirEndpointSpec.model_validate(body["spec"]), claimed_by=None).status == "True"
        ],
    )


def _endpoint(
    name: str,
    spec: FhirEndpointSpec,
    active: bool,
    organization: EHRConnectorConfigSpec,
    sender_of: dict[str, str],
) -> EndpointConfiguration:
    number = spec.sms_number_ref.name if spec.sms_number_ref else None
    return EndpointConfiguration(
        name=name,
        base_url=spec.base_url,
        environment=spec.environment,
        active=active and not spec.suspend,
        departments=spec.departments,
        clinician_client_id=spec.smart.clinician_client_id,
        clinician_scopes=clinician_scopes(spec),
        system_client_id=spec.smart.system_client_id,
        system_scopes=system_scopes(spec),
        appointments=spec.appointments,
        sender_number=sender_of.get(number) if number else None,
        profile_digest=profile_digest(spec, organization),
    )


def _is_active(body: Body) -> bool:
    return all(condition_status(body, type_) == "True" for type_ in (Type.VALIDATED, Type.PROMOTED))
