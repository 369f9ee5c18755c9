"""Effects on phone numbers. Pure; the steps are those of `sms_number.plan`, the provider is not asked."""

from __future__ import annotations

from collections.abc import Iterable

from ehr_api.v1alpha1.sms_number import Acquire, DeletionPolicy, SmsNumberSpec, SmsNumberStatus
from ehr_operator.plan_command.comparison import Comparison, View, number_situation
from ehr_operator.plan_command.effect import Action, Effect
from ehr_operator.runtime.model import Body, Key
from ehr_operator.sms_number.claims import Claims, claimed_by_others
from ehr_operator.sms_number.plan import Blocked, Intend, Observed, plan
from ehr_operator.sms_number.release import never_owned
from ehr_operator.views import NUMBER, config_key, endpoints_with_number, is_deleting


def number_effects(comparison: Comparison) -> Iterable[Effect]:
    """Return what happens to each phone number."""
    for key in comparison.keys(NUMBER):
        before, after = comparison.before.objects.get(key), comparison.after.objects.get(key)
        if after is None:
            continue
        if is_deleting(after):
            yield from _going(comparison, key, before, after)
        elif "phoneNumber" in after["status"]:
            yield _held(comparison.after, after)
        elif key in comparison.wanted:
            yield _acquired(comparison, before, after)


def _going(comparison: Comparison, key: Key, before: Body | None, after: Body) -> Iterable[Effect]:
    """A deletion takes effect when it comes, or when the last endpoint that held it up lets go."""
    linked = _linked(comparison.after, key)
    was_going = before is not None and is_deleting(before)
    if was_going and (linked or not _linked(comparison.before, key)):
        return
    spec = SmsNumberSpec.model_validate(after["spec"])
    status = SmsNumberStatus.model_validate(after["status"])
    if never_owned(status):
        return
    number = status.phone_number or _being_bought(status)
    if linked:
        message = f"the deletion is held, and {number} stays, while FhirEndpoints link to it: {', '.join(linked)}"
        yield _effect(after, Action.DELETION_HELD, message)
    elif spec.deletion_policy is DeletionPolicy.RETAIN:
        message = f"{number} stays in the Communication Services resource (deletionPolicy: Retain), to be adopted again"
        yield _effect(after, Action.NUMBER_RETAINED, message)
    elif spec.suspend:
        message = f"spec.suspend is true, so the deletion is held and {number} is not released"
        yield _effect(after, Action.DELETION_HELD, message)
    else:
        message = f"{number} is given up for good (deletionPolicy: Release)"
        yield _effect(after, Action.NUMBER_RELEASED, message, destructive=True)


def _being_bought(status: SmsNumberStatus) -> str:
    """Return words for a number whose purchase goes on: it is awaited, then kept or given up."""
    named = status.purchase.phone_number if status.purchase else None
    return f"the number that is being bought ({named})" if named else "the number that is being bought"


def _held(view: View, body: Body) -> Effect:
    number = body["status"]["phoneNumber"]
    situation = number_situation(view, body)
    if situation is not None and situation.stalled:
        return _effect(body, Action.NUMBER_WAITS, situation.message)
    return _effect(body, Action.NUMBER_KEPT, f"{number} is held on")


def _acquired(comparison: Comparison, before: Body | None, after: Body) -> Effect:
    situation = number_situation(comparison.after, after)
    if situation is not None:
        return _effect(after, Action.NUMBER_WAITS, situation.message)
    spec = SmsNumberSpec.model_validate(after["spec"])
    status = SmsNumberStatus.model_validate(after["status"])
    claimed = claimed_by_others(comparison.after.objects, after, Claims())
    uid: str = after["metadata"]["uid"]
    step = plan(spec, Observed(uid, None, status.purchase, (), claimed))
    if status.purchase is not None:
        return _effect(after, Action.NUMBER_WAITS, "a purchase that was begun before goes on")
    match step:
        case Blocked(reason="PinnedNumberNotOwned"):
            message = (
                f"{spec.phone_number} is adopted if the Communication Services resource owns it; it is never bought"
            )
            return _effect(after, Action.NUMBER_ADOPTED, message)
        case Blocked(reason="NoNumberToAdopt"):
            message = "an owned number that matches is adopted if there is one; none is bought"
            return _effect(after, Action.NUMBER_ADOPTED, message)
        case Blocked():
            return _effect(after, Action.NUMBER_WAITS, step.message)
        case Intend():
            return _effect(after, Action.NUMBER_BOUGHT, _purchase(comparison, spec, after, underway=before is not None))
        case _:
            return _effect(after, Action.NUMBER_WAITS, "the operator is at it")


def _purchase(comparison: Comparison, spec: SmsNumberSpec, body: Body, *, underway: bool) -> str:
    limit = spec.max_monthly_cost
    price = f"for at most {limit.amount} {limit.currency} a month" if limit else "at any price (no maxMonthlyCost)"
    what = f"a {spec.number_type} number in {spec.country_code}" + (f" ({spec.area_code})" if spec.area_code else "")
    if spec.acquire is Acquire.ADOPT_OR_PURCHASE:
        text = f"an owned number that matches is adopted; without one, {what} is bought {price}"
    else:
        text = f"{what} is bought {price}"
    if underway:
        text += "; the operator was to do this before this apply too"
    leaving = _leaving(comparison, config_key(body))
    if leaving:
        text += f". {', '.join(leaving)} is not taken over by itself: set spec.phoneNumber to it"
    return text


def _leaving(comparison: Comparison, config: Key) -> list[str]:
    """Return the numbers of the organisation whose SmsNumbers go away and leave them."""
    return [
        body["status"]["phoneNumber"]
        for body in comparison.after.objects.list(NUMBER, config.namespace)
        if is_deleting(body) and config_key(body) == config and "phoneNumber" in body["status"]
    ]


def _linked(view: View, key: Key) -> list[str]:
    return [endpoint.name for endpoint in endpoints_with_number(view.objects, key.namespace, key.name)]


def _effect(body: Body, action: Action, message: str, *, destructive: bool = False) -> Effect:
    config, metadata = config_key(body), body["metadata"]
    key = Key(NUMBER, metadata["namespace"], metadata["name"])
    return Effect(f"{config.namespace}/{config.name}", key, action, message, destructive)
