"""Conditions by the Kubernetes API conventions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_api import conditions
from ehr_api.conditions import Finding, Type, false, merge, true, unknown
from ehr_api.meta import Condition, ConditionStatus

NOON = datetime(2026, 1, 31, 12, 0, 0, 987654, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)

findings = st.lists(
    st.builds(
        Finding,
        st.sampled_from(Type),
        st.sampled_from(ConditionStatus),
        st.sampled_from(["Succeeded", "DnsFailed", "Waiting"]),
        st.text(max_size=20),
    ),
    unique_by=lambda finding: finding.type,
    max_size=8,
)


def test_the_transition_time_stays_while_the_status_stays_whatever_else_changes() -> None:
    before = merge([], [false(Type.READY, "Waiting", "for the first look")], generation=1, now=NOON)

    (after,) = merge(before, [false(Type.READY, "DnsFailed", "no address")], generation=2, now=LATER)

    assert after.last_transition_time == before[0].last_transition_time
    assert (after.reason, after.message, after.observed_generation) == ("DnsFailed", "no address", 2)


@pytest.mark.parametrize("other", [true, unknown])
def test_the_transition_time_moves_with_the_status(other: Callable[[Type, str, str], Finding]) -> None:
    before = merge([], [false(Type.READY, "Waiting", "")], generation=1, now=NOON)

    (after,) = merge(before, [other(Type.READY, "Waiting", "")], generation=1, now=LATER)

    assert after.last_transition_time == LATER.replace(microsecond=0)


def test_a_transition_time_has_whole_seconds_as_the_api_server_writes_them() -> None:
    (condition,) = merge([], [true(Type.READY, "Succeeded", "")], generation=1, now=NOON)

    assert condition.to_api()["lastTransitionTime"] == "2026-01-31T12:00:00Z"


def test_types_without_a_finding_are_dropped() -> None:
    before = merge(
        [], [false(Type.READY, "Waiting", ""), true(Type.RECONCILING, "Waiting", "")], generation=1, now=NOON
    )

    after = merge(before, [true(Type.READY, "Succeeded", "")], generation=1, now=LATER)

    assert [condition.type for condition in after] == [Type.READY]


def test_a_type_that_comes_back_counts_as_a_transition() -> None:
    stalled, ready = true(Type.STALLED, "Invalid", ""), true(Type.READY, "Succeeded", "")
    gone = merge(merge([], [stalled], generation=1, now=NOON), [ready], generation=1, now=NOON)

    (back,) = merge(gone, [stalled], generation=1, now=LATER)

    assert back.last_transition_time == LATER.replace(microsecond=0)


@given(findings, findings)
def test_conditions_stand_in_the_order_of_the_findings(earlier: list[Finding], now: list[Finding]) -> None:
    standing = merge([], earlier, generation=1, now=NOON)

    assert [condition.type for condition in merge(standing, now, generation=2, now=LATER)] == [f.type for f in now]


@given(findings)
def test_the_same_findings_again_give_byte_for_byte_what_stands(found: list[Finding]) -> None:
    standing = merge([], found, generation=3, now=NOON)
    read_back = [Condition.model_validate(condition.to_api()) for condition in standing]

    again = merge(read_back, found, generation=3, now=LATER)

    assert [condition.to_api() for condition in again] == [condition.to_api() for condition in standing]


def test_a_condition_is_found_by_its_type_and_only_true_is_true() -> None:
    standing = merge(
        [],
        [true(Type.VALIDATED, "Succeeded", ""), false(Type.READY, "W", ""), unknown(Type.PROMOTED, "W", "")],
        generation=1,
        now=NOON,
    )

    assert conditions.find(standing, Type.PROMOTED) == standing[2]
    assert conditions.find(standing, Type.STALLED) is None
    held = {type_ for type_ in Type if conditions.is_true(standing, type_)}
    assert held == {Type.VALIDATED}
