"""The plan of an apply: desired and live objects go in, everything that would happen outside comes out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.connector_config.report import consent
from ehr_operator.plan_command.comparison import KINDS, compare
from ehr_operator.plan_command.desired import normal_spec
from ehr_operator.plan_command.effect import Action, Effect
from ehr_operator.plan_command.endpoints import endpoint_effects
from ehr_operator.plan_command.numbers import number_effects
from ehr_operator.plan_command.organizations import organization_effects
from ehr_operator.plan_command.refusals import refusals
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import CONFIG, is_deleting, key_of


def plan(desired: Sequence[Body], live: Sequence[Body], *, prune: bool = False) -> list[Effect]:
    """Return what an apply of `desired` onto `live` would do, sorted by organisation and object.

    `desired` comes from `desired.parse`, `live` as the API server lists it, records included and from all namespaces: a
    base URL or a number may be claimed anywhere. Only namespaces of `desired` are compared. With `prune`, live objects of
    these namespaces that `desired` leaves out count as deleted.
    """
    standing = {key_of(body["kind"], body): body for body in live}
    refused = list(_refused(desired, standing))
    comparison = compare(desired, live, prune=prune, refused=frozenset(effect.key for effect in refused))
    effects = [
        *refused,
        *organization_effects(comparison),
        *number_effects(comparison),
        *endpoint_effects(comparison),
    ]
    return sorted(effects, key=_place)


def _refused(desired: Sequence[Body], standing: Mapping[Key, Body]) -> Iterable[Effect]:
    """Return what the API server would refuse: such an object stays as it is."""
    for body in desired:
        key = key_of(body["kind"], body)
        live = standing.get(key)
        if key.kind == CONFIG:
            yield from _without_consent(key, body)
        if live is None or is_deleting(live):
            continue
        for field, why in refusals(key.kind, normal_spec(key.kind, live["spec"]), body["spec"]):
            config: str = key.name if key.kind == CONFIG else live["spec"]["configRef"]["name"]
            message = f"the API server refuses the object: {field} {why}"
            yield Effect(f"{key.namespace}/{config}", key, Action.REFUSED, message, destructive=True)


def _without_consent(key: Key, body: Body) -> Iterable[Effect]:
    finding = consent(EHRConnectorConfigSpec.model_validate(body["spec"]))
    if finding.status == "False":
        message = f"the API server refuses the object: {finding.message}; or set smsNotifications.enabled: false"
        yield Effect(f"{key.namespace}/{key.name}", key, Action.CONSENT_MISSING, message, destructive=True)


def _place(effect: Effect) -> tuple[str, int, str]:
    """Sort objects as their authors list them, and records after them all; effects of one object keep their order."""
    kinds = [*KINDS]
    order = kinds.index(effect.key.kind) if effect.key.kind in kinds else len(kinds)
    return effect.organization, order, effect.key.name
