"""What the connector's report on Microsoft Graph makes of GraphAuthorized, and when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from unit.operator.conftest import START
from unit.operator.connector_config.connector import System

from ehr_api.conditions import Finding, Type
from ehr_api.control import GraphFinding, GraphReason, GraphReport
from ehr_api.meta import REQUESTED_AT, Condition, ConditionStatus
from ehr_operator.connector_config.report import graph_authorized


def finding(reason: GraphReason) -> GraphFinding:
    return GraphFinding(reason=reason, message="what", remedy="the command")


def report(*reasons: GraphReason) -> GraphReport:
    return GraphReport(checked_at=START, organizers=2, findings=[finding(reason) for reason in reasons])


def standing(status: ConditionStatus, reason: str) -> Condition:
    return Condition(
        type=Type.GRAPH_AUTHORIZED,
        status=status,
        observed_generation=1,
        last_transition_time=START,
        reason=reason,
        message="m",
    )


@pytest.mark.parametrize("reason", GraphReason)
def test_each_finding_is_the_reason_of_the_condition_with_its_remedy(reason: GraphReason) -> None:
    judged = graph_authorized(report(reason), None)

    assert (judged.status, judged.reason, judged.message) == (
        "False",
        reason.value,
        "what (looked at again by itself every minute): the command",
    )


def test_what_people_must_mend_is_said_before_what_passes() -> None:
    judged = graph_authorized(report(GraphReason.THROTTLED, GraphReason.ORGANIZER_DISABLED), None)

    assert judged.reason == "OrganizerDisabled"
    assert judged.message.endswith("and 1 more, shown once this is mended")


def test_nothing_in_the_way_is_authorized() -> None:
    assert graph_authorized(report(), None).status == "True"


def test_advice_is_told_with_its_remedy_and_stands_in_nothings_way() -> None:
    advice = finding(GraphReason.CALL_RECORDS_NOT_PERMITTED).model_copy(update={"is_advice": True})
    judged = graph_authorized(report().model_copy(update={"findings": [advice]}), None)

    assert (judged.status, judged.reason) == ("True", "Authorized")
    assert judged.message.endswith(". what: the command")


def test_advice_is_not_counted_among_what_is_to_be_mended() -> None:
    advice = finding(GraphReason.CALL_RECORDS_NOT_PERMITTED).model_copy(update={"is_advice": True})
    findings = [advice, finding(GraphReason.ORGANIZER_DISABLED)]
    judged = graph_authorized(report().model_copy(update={"findings": findings}), None)

    assert (judged.status, judged.reason) == ("False", "OrganizerDisabled")
    assert judged.message.endswith(": the command")


def test_a_connector_without_the_report_leaves_it_unknown() -> None:
    judged = graph_authorized(None, None)

    assert (judged.status, judged.reason) == ("Unknown", "NotChecked")


@pytest.mark.parametrize("reason", [GraphReason.THROTTLED, GraphReason.UNAVAILABLE])
@pytest.mark.parametrize(
    "before", [(ConditionStatus.TRUE, "Authorized"), (ConditionStatus.UNKNOWN, "GraphUnavailable")]
)
def test_what_was_authorized_is_only_unknown_while_graph_does_not_answer(
    reason: GraphReason, before: tuple[ConditionStatus, str]
) -> None:
    assert graph_authorized(report(reason), standing(*before)).status == "Unknown"


@pytest.mark.parametrize(
    "before", [(ConditionStatus.UNKNOWN, "NotChecked"), (ConditionStatus.FALSE, "AccessPolicyMissing")]
)
def test_what_never_was_authorized_is_held_back_while_graph_does_not_answer(
    before: tuple[ConditionStatus, str],
) -> None:
    assert graph_authorized(report(GraphReason.UNAVAILABLE), standing(*before)).status == "False"


async def test_a_finding_holds_the_organisation_back_and_a_mended_one_lets_it_go_on(system: System) -> None:
    time_s = 1000.0
    system.monotonic = lambda: time_s
    system.restart()
    system.connector.graph = report(GraphReason.ACCESS_POLICY_MISSING)
    key = system.add()
    held_back = await system.reconcile(key)
    system.connector.graph = report()
    time_s += 60
    goes_on = await system.reconcile(key)

    assert find_status(held_back.findings) == "False"
    assert find_status(goes_on.findings) == "True"


async def test_the_report_is_asked_for_once_an_interval_however_often_the_organisation_is_looked_at(
    system: System,
) -> None:
    time_s = 1000.0
    system.monotonic = lambda: time_s
    system.restart()
    system.connector.graph = report()
    key = system.add()
    for _ in range(10):
        await system.reconcile(key)
        time_s += 1
    assert system.connector.asked_for_graph == 1
    time_s += 60
    await system.reconcile(key)
    assert system.connector.asked_for_graph == 2


async def test_who_asks_for_a_look_gets_a_new_report(system: System) -> None:
    system.connector.graph = report()
    key = system.add()
    await system.reconcile(key)
    system.api.change(key, {"metadata": {"annotations": {REQUESTED_AT: "now"}}})
    await system.reconcile(key)
    assert system.connector.asked_for_graph == 2


def find_status(findings: Iterable[Finding]) -> str:
    return next(str(one.status) for one in findings if one.type is Type.GRAPH_AUTHORIZED)
