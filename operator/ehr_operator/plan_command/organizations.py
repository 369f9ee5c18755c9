"""Effects on organisations and their connectors. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ehr_api.control import OrganizationConfiguration, differing_fields
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.plan_command.comparison import Comparison
from ehr_operator.plan_command.effect import Action, Change, Effect
from ehr_operator.remotes import origin
from ehr_operator.runtime.model import Key
from ehr_operator.views import CONFIG


def organization_effects(comparison: Comparison) -> Iterable[Effect]:
    """Return what happens to the configurations in the connectors."""
    for key in comparison.keys(CONFIG):
        before, after = comparison.before.organization(key), comparison.after.organization(key)
        if after is None and before is not None:
            yield _removed(key, before)
        elif after is not None and before is None:
            message = f"the connector at {after.connector.control_url} is given the organisation '{after.display_name}'"
            yield _effect(key, Action.CONFIGURATION_SENT, message)
        elif after is not None and before is not None and not after.suspend:
            yield from _changed(comparison, key, before, after)


def _changed(
    comparison: Comparison, key: Key, before: EHRConnectorConfigSpec, after: EHRConnectorConfigSpec
) -> Iterable[Effect]:
    old, new = before.connector.control_url, after.connector.control_url
    if origin(old) != origin(new):
        message = "the former connector is told to forget the organisation before the new one is given it"
        yield _effect(key, Action.CONTROL_URL_MOVED, message, changes=(Change("spec.connector.controlURL", old, new),))
    held, desired = comparison.before.documents.get(key), comparison.after.documents.get(key)
    if held is not None and desired is not None:
        # The endpoints have effects of their own.
        fields = differing_fields(_without_endpoints(desired), _without_endpoints(held).to_api())
        if fields:
            message = f"the connector is given other settings: {', '.join(fields)}"
            yield _effect(key, Action.CONFIGURATION_CHANGED, message)


def _without_endpoints(document: OrganizationConfiguration) -> OrganizationConfiguration:
    return document.model_copy(update={"endpoints": []})


def _removed(key: Key, before: EHRConnectorConfigSpec) -> Effect:
    if before.suspend:
        message = "spec.suspend is true, so the deletion is held and the connector keeps the configuration"
        return _effect(key, Action.DELETION_HELD, message)
    message = f"the connector at {before.connector.control_url} forgets the organisation and serves it no more"
    return _effect(key, Action.CONFIGURATION_REMOVED, message, destructive=True)


def _effect(
    key: Key, action: Action, message: str, *, destructive: bool = False, changes: tuple[Change, ...] = ()
) -> Effect:
    return Effect(f"{key.namespace}/{key.name}", key, action, message, destructive, changes)
