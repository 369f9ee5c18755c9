"""Reports tell whether a message arrived, and some failures are worth another try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ehr_connector.notify.answers.delivery import Fate, of_email, of_text, pause_before_another
from ehr_connector.store.send_state import State


@pytest.mark.parametrize(
    ("status", "details", "fate"),
    [
        ("Delivered", "2000: No Error", Fate(State.DELIVERED, "2000")),
        ("delivered", "", Fate(State.DELIVERED, "2000")),
        ("Failed", "4006: Destination number is unreachable", Fate(State.FAILED, "4006")),
        ("Failed", "4007", Fate(State.FAILED, "4007")),
        ("Failed", "", Fate(State.FAILED, "9999")),
        ("Failed", "2000: No Error", Fate(State.FAILED, "9999")),
        ("Failed", "²000: x", Fate(State.FAILED, "9999")),
        ("Failed", "9" * 40, Fate(State.FAILED, "9999")),
        ("Accepted", "2000: No Error", None),
    ],
)
def test_a_text_arrived_or_failed_with_a_code(status: str, details: str, fate: Fate | None) -> None:
    assert of_text(status, details) == fate


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        ("Delivered", Fate(State.DELIVERED, "delivered")),
        ("Bounced", Fate(State.FAILED, "bounced")),
        ("Suppressed", Fate(State.FAILED, "suppressed")),
        ("Quarantined", Fate(State.FAILED, "quarantined")),
        ("FilteredSpam", Fate(State.FAILED, "filteredspam")),
        ("Failed", Fate(State.FAILED, "failed")),
        ("pat@home.example", Fate(State.FAILED, "failed")),
        ("Expanded", None),
    ],
)
def test_an_email_arrived_or_failed_with_a_word_of_a_list(status: str, fate: Fate | None) -> None:
    assert of_email(status) == fate


@pytest.mark.parametrize("code", ["4006", "5002", "9999"])
def test_what_may_arrive_later_is_tried_twice_more(code: str) -> None:
    pauses = [pause_before_another(Fate(State.FAILED, code), attempts) for attempts in (1, 2, 3)]
    assert pauses == [timedelta(minutes=5), timedelta(minutes=30), None]


def test_who_takes_no_texts_is_written_an_email_at_once_where_there_is_any() -> None:
    blocked = Fate(State.FAILED, "4007")
    assert [pause_before_another(blocked, attempts, by_email=True) for attempts in (1, 3)] == [timedelta(), None]


@pytest.mark.parametrize("reason", ["2000", "4000", "4002", "4004", "4007", "4010", "5000", "bounced"])
def test_nothing_else_is_tried_again(reason: str) -> None:
    assert pause_before_another(Fate(State.FAILED, reason), 1) is None
