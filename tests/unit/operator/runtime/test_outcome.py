"""From an outcome to status: invariants of conditions, the back-off, and the Events that tell of a change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.operator.runtime.widgets import START, Widget, WidgetStatus, fits, widget

from ehr_api.conditions import Finding, Type, false, find, true
from ehr_api.meta import REQUESTED_AT, ConditionStatus, Retry
from ehr_operator.runtime.model import FREE, PAID, Backoff, Failure, Note, Outcome, State
from ehr_operator.runtime.outcome import conclude, held_back_s, pause_s, standing_findings

SUMMARY = (Type.READY, Type.RECONCILING, Type.STALLED)
OWN_TYPES = [type_ for type_ in Type if type_ not in SUMMARY]

words = st.text(st.characters(codec="utf-8"), max_size=20)
reasons = st.from_regex("[A-Z][A-Za-z]{0,15}", fullmatch=True)
moments = st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda passed: START + passed)
failures = st.builds(
    Failure,
    backoff=st.sampled_from([FREE, PAID]),
    retry_after_s=st.none() | st.floats(0.0, 90_000.0),
)
findings = st.lists(
    st.builds(Finding, st.sampled_from(OWN_TYPES), st.sampled_from(ConditionStatus), reasons, words),
    unique_by=lambda finding: finding.type,
    max_size=6,
)
outcomes = st.builds(
    Outcome,
    state=st.sampled_from(State),
    reason=reasons,
    message=words,
    findings=findings.map(tuple),
    status=st.builds(WidgetStatus, size=st.none() | st.integers(0, 9)),
    requeue_after_s=st.none() | st.floats(0.0, 3600.0),
    failure=st.none() | failures,
)
fractions = st.floats(0.0, 1.0, exclude_max=True)
requests = st.dictionaries(st.just(REQUESTED_AT), st.sampled_from(["one", "two"]))


@st.composite
def widgets(draw: st.DrawFn) -> Widget:
    """An object with the status that an earlier outcome left, or with none."""
    before = widget(generation=draw(st.integers(1, 3)), annotations=draw(requests))
    earlier = draw(st.none() | outcomes)
    if earlier is None:
        return before
    status = conclude(before, earlier, now=draw(moments), random=lambda: 0.5).status
    return widget(status, generation=draw(st.integers(before.generation, 4)), annotations=draw(requests))


def ready(size: int = 1, **parts: Finding) -> Outcome[WidgetStatus]:
    return Outcome(State.READY, "Fits", "it fits", tuple(parts.values()), WidgetStatus(size=size))


def failed(*, retry_after_s: float | None = None, backoff: Backoff = FREE) -> Outcome[WidgetStatus]:
    failure = Failure(backoff, retry_after_s)
    return Outcome(State.RECONCILING, "Unreachable", "no answer", (), WidgetStatus(), failure=failure)


def concluded(obj: Widget, outcome: Outcome[WidgetStatus], now: datetime = START) -> WidgetStatus:
    return conclude(obj, outcome, now=now, random=lambda: 0.5).status


# Conditions


@given(widgets(), outcomes, moments, fractions)
def test_exactly_one_of_ready_reconciling_and_stalled_is_true(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime, fraction: float
) -> None:
    status = conclude(obj, outcome, now=now, random=lambda: fraction).status

    summary = {condition.type: condition.status for condition in status.conditions if condition.type in SUMMARY}
    assert [type_ for type_, value in summary.items() if value == "True"] == [outcome.state]
    assert summary[Type.READY] == ("True" if outcome.state is State.READY else "False")
    assert all(value == "True" for type_, value in summary.items() if type_ != Type.READY)


@given(widgets(), outcomes, moments)
def test_every_outcome_is_about_the_generation_that_was_looked_at(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime
) -> None:
    status = concluded(obj, outcome, now)

    assert status.observed_generation == obj.generation
    assert {condition.observed_generation for condition in status.conditions} == {obj.generation}


@given(widgets(), outcomes, moments)
def test_the_conditions_are_the_summary_and_then_the_findings_each_once(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime
) -> None:
    types = [condition.type for condition in concluded(obj, outcome, now).conditions]

    own = [finding.type for finding in outcome.findings]
    assert types == [type_ for type_ in types if type_ in SUMMARY] + own
    assert types[0] == Type.READY
    assert len(set(types)) == len(types)


@given(widgets(), outcomes, moments)
def test_a_transition_time_changes_with_the_status_of_its_condition_and_never_else(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime
) -> None:
    for condition in concluded(obj, outcome, now).conditions:
        before = find(obj.status.conditions, Type(condition.type))
        kept = before is not None and before.status == condition.status
        expected = before.last_transition_time if before is not None and kept else now.replace(microsecond=0)
        assert condition.last_transition_time == expected


@given(
    widgets(),
    outcomes.filter(lambda outcome: outcome.failure is None),
    moments,
    st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_an_unchanged_outcome_gives_the_same_status_byte_for_byte(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime, later: timedelta
) -> None:
    first = concluded(obj, outcome, now)
    again = widget(first, generation=obj.generation, annotations=obj.annotations)

    second = conclude(again, outcome, now=now + later, random=lambda: 0.9)

    assert second.status.to_api() == first.to_api()
    assert list(second.status.to_api()) == list(first.to_api())
    assert second.notes == ()


def test_the_kinds_own_fields_pass_and_those_of_the_runtime_are_the_runtimes() -> None:
    claimed = WidgetStatus(size=3, observed_generation=99, last_handled_reconcile_at="never", retry=Retry(failures=7))
    outcome = Outcome(State.READY, "Fits", "it fits", (), claimed)

    status = concluded(widget(generation=2), outcome)

    assert status.to_api().keys() == {"observedGeneration", "conditions", "size"}
    assert (status.size, status.observed_generation) == (3, 2)


def test_a_finding_that_is_no_longer_made_disappears() -> None:
    before = concluded(widget(), ready(linked=true(Type.LINKED, "Linked", "it is")))

    after = concluded(widget(before), ready())

    assert find(before.conditions, Type.LINKED)
    assert [condition.type for condition in after.conditions] == [Type.READY]


def test_standing_findings_are_the_kinds_own_as_they_stand() -> None:
    linked = true(Type.LINKED, "Linked", "it is")
    verified = false(Type.VERIFIED, "Pending", "not yet")
    stalled = Outcome(State.STALLED, "TooLarge", "too large", (linked, verified), WidgetStatus())

    assert standing_findings(concluded(widget(), stalled)) == (linked, verified)


# Requests for a look


@given(widgets(), outcomes, moments)
def test_a_request_is_answered_with_its_own_value_and_an_answer_stays(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime
) -> None:
    answered = concluded(obj, outcome, now).last_handled_reconcile_at

    assert answered == obj.annotations.get(REQUESTED_AT, obj.status.last_handled_reconcile_at)


# The back-off


@given(failures, st.integers(1, 2000), fractions)
def test_a_pause_is_between_half_and_all_of_the_doubled_base(failure: Failure, number: int, fraction: float) -> None:
    exponent = min(number - 1, 60)
    longest = min(failure.backoff.base_s * 2**exponent, failure.backoff.max_s)

    pause = pause_s(Failure(failure.backoff), number, lambda: fraction)

    assert longest / 2 <= pause <= longest


@given(failures, st.integers(1, 60), fractions)
def test_the_remote_systems_own_word_is_a_lower_bound(failure: Failure, number: int, fraction: float) -> None:
    without = pause_s(Failure(failure.backoff), number, lambda: fraction)

    assert pause_s(failure, number, lambda: fraction) == max(without, failure.retry_after_s or 0.0)


@given(widgets(), outcomes, moments, fractions)
def test_the_back_off_stands_in_status_while_attempts_fail_and_no_longer(
    obj: Widget, outcome: Outcome[WidgetStatus], now: datetime, fraction: float
) -> None:
    conclusion = conclude(obj, outcome, now=now, random=lambda: fraction)

    retry = conclusion.status.retry
    if outcome.failure is None:
        assert retry is None
        assert conclusion.next_s == outcome.requeue_after_s
    else:
        assert retry is not None
        assert retry.failures == (obj.status.retry.failures if obj.status.retry else 0) + 1
        assert retry.next_attempt_time is not None
        pause = pause_s(outcome.failure, retry.failures, lambda: fraction)
        assert conclusion.next_s == pause
        # Written in whole seconds, and never later than the pause that this process keeps itself.
        assert timedelta(0) <= now + timedelta(seconds=pause) - retry.next_attempt_time < timedelta(seconds=1)


def test_failures_in_a_row_are_counted_until_one_attempt_succeeds() -> None:
    status = WidgetStatus()
    counts: list[int | None] = []
    for outcome in (failed(), failed(), failed(), ready(), failed()):
        status = concluded(widget(status), outcome)
        counts.append(status.retry.failures if status.retry else None)

    assert counts == [1, 2, 3, None, 1]


def test_the_back_off_holds_the_object_back_for_the_rest_of_its_time() -> None:
    status = concluded(widget(), failed(retry_after_s=600.0))

    assert held_back_s(widget(status), START) == 600.0
    assert held_back_s(widget(status), START + timedelta(seconds=590)) == 10.0
    assert held_back_s(widget(status), START + timedelta(seconds=600)) == 0.0
    assert held_back_s(widget(status), START + timedelta(days=2)) == 0.0


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"generation": 2}, id="a new spec"),
        pytest.param({"annotations": {REQUESTED_AT: "2026-03-02T09:01:00Z"}}, id="a request"),
        pytest.param({"generation": 2, "deletionTimestamp": "2026-03-02T09:01:00Z"}, id="a deletion"),
    ],
)
def test_the_back_off_is_lifted_when_somebody_acted(metadata: dict[str, object]) -> None:
    status = concluded(widget(), failed(retry_after_s=600.0))

    assert held_back_s(widget(status), START) > 0.0
    assert held_back_s(widget(status, **metadata), START) == 0.0


def test_a_request_that_was_answered_already_lifts_nothing() -> None:
    asked = {REQUESTED_AT: "2026-03-02T09:01:00Z"}
    status = concluded(widget(annotations=asked), failed(retry_after_s=600.0))

    assert held_back_s(widget(status, annotations=asked), START) == 600.0
    assert held_back_s(widget(status), START) == 600.0


def test_a_deletion_that_failed_is_held_back_too() -> None:
    deleting = {"generation": 2, "deletionTimestamp": "2026-03-02T09:01:00Z"}
    status = concluded(widget(**deleting), failed(retry_after_s=600.0))

    assert held_back_s(widget(status, **deleting), START) == 600.0


def test_nothing_is_held_back_without_a_failure() -> None:
    assert held_back_s(widget(), START) == 0.0
    assert held_back_s(widget(concluded(widget(), ready())), START) == 0.0


# Events


def notes(status: WidgetStatus | None, outcome: Outcome[WidgetStatus]) -> tuple[Note, ...]:
    return conclude(widget(status), outcome, now=START, random=lambda: 0.5).notes


def test_becoming_ready_is_told_when_somebody_had_to_wait_for_it() -> None:
    assert notes(None, ready()) == ()
    assert notes(concluded(widget(), failed()), ready()) == (Note("Fits", "it fits"),)


def test_a_failure_and_a_dead_end_are_warnings_and_a_wait_is_none_and_told_only_when_it_comes_later() -> None:
    waiting = Outcome(State.RECONCILING, "Waiting", "wait", (), WidgetStatus())
    stalled = Outcome(State.STALLED, "TooLarge", "too large", (), WidgetStatus())

    assert notes(None, failed()) == (Note("Unreachable", "no answer", warning=True),)
    assert notes(None, stalled) == (Note("TooLarge", "too large", warning=True),)
    assert notes(None, waiting) == ()
    assert notes(concluded(widget(), failed()), waiting) == (Note("Waiting", "wait"),)


def test_a_lost_readiness_is_a_warning_unless_somebody_just_changed_the_spec() -> None:
    waiting = Outcome(State.RECONCILING, "Waiting", "wait", (), WidgetStatus())
    standing = concluded(widget(), fits())

    assert notes(standing, waiting) == (Note("Waiting", "wait", warning=True),)
    changed = conclude(widget(standing, generation=2), waiting, now=START, random=lambda: 0.5)
    assert changed.notes == (Note("Waiting", "wait"),)


@pytest.mark.parametrize("warning", [True, False])
def test_a_kind_may_know_better_whether_a_changed_summary_is_a_warning_but_to_be_ready_is_none(warning: bool) -> None:
    standing = concluded(widget(), fits())
    waiting = Outcome(State.RECONCILING, "Waiting", "wait", (), WidgetStatus(), warning=warning)

    assert notes(standing, waiting) == (Note("Waiting", "wait", warning=warning),)
    assert notes(concluded(widget(), waiting), fits(warning=warning)) == (Note("Fits", "it fits"),)


def test_being_ready_at_the_first_look_is_no_event_even_where_a_condition_awaits_somebody() -> None:
    awaiting = false(Type.ACKNOWLEDGED, "NotAcknowledged", "copy it")

    assert notes(None, Outcome(State.READY, "Fits", "it fits", (awaiting,), WidgetStatus())) == ()


def test_a_changed_message_alone_is_no_event() -> None:
    standing = concluded(widget(), failed())
    other_words = Outcome(State.RECONCILING, "Unreachable", "still no answer", (), WidgetStatus(), failure=Failure())

    assert notes(standing, other_words) == ()


def test_the_kinds_own_notes_are_told_after_that_of_the_summary() -> None:
    bought = Note("Purchased", "+18005550100")
    outcome = Outcome(State.STALLED, "TooLarge", "too large", (), WidgetStatus(), notes=(bought,))

    assert notes(None, outcome) == (Note("TooLarge", "too large", warning=True), bought)
