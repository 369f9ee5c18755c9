"""Codes of the provider become Microsoft's nine statuses, and some are worth another try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ehr_connector.notify.delivery import Delivery, code_of, of_email, of_text, pause_before_another


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4000, Delivery.SPAM),
        (4001, Delivery.INVALID_NUMBER),
        (4002, Delivery.INVALID_NUMBER),
        (4003, Delivery.RECIPIENT_BLOCKED),
        (4004, Delivery.NO_SUCH_NUMBER),
        (4005, Delivery.BLOCKED_NUMBER),
        (4006, Delivery.UNREACHABLE),
        (4007, Delivery.OPTED_OUT),
        (4008, Delivery.OTHER_ERROR),
        (4009, Delivery.OTHER_ERROR),
        (4010, Delivery.OTHER_ERROR),
        (4020, Delivery.SPAM),
        (5000, Delivery.OTHER_ERROR),
        (5001, Delivery.OTHER_ERROR),
        (5002, Delivery.OTHER_ERROR),
        (9999, Delivery.OTHER_ERROR),
        (2000, Delivery.OTHER_ERROR),
        (None, Delivery.OTHER_ERROR),
    ],
)
def test_each_code_of_a_failure_has_its_status(code: int | None, expected: Delivery) -> None:
    assert of_text("Failed", code) is expected


def test_every_status_has_a_code() -> None:
    failures = {of_text("Failed", code) for code in range(2000, 10000)}
    assert failures | {of_text("Delivered", 2000)} == set(Delivery)


def test_a_status_that_is_no_end_is_none() -> None:
    assert (of_text("Accepted", 2000), of_email("Expanded")) == (None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Delivered", Delivery.SENT),
        ("Bounced", Delivery.NO_SUCH_NUMBER),
        ("Suppressed", Delivery.RECIPIENT_BLOCKED),
        ("Quarantined", Delivery.SPAM),
        ("FilteredSpam", Delivery.SPAM),
        ("Failed", Delivery.OTHER_ERROR),
        ("SomethingNew", Delivery.OTHER_ERROR),
    ],
)
def test_each_status_of_an_email_is_one_of_the_nine(status: str, expected: Delivery) -> None:
    assert of_email(status) is expected


@pytest.mark.parametrize(
    ("details", "code"),
    [("2000: No Error", 2000), ("4006", 4006), ("", None), ("No Error", None), ("²000: x", None), ("9" * 40, None)],
)
def test_the_code_is_read_from_the_details(details: str, code: int | None) -> None:
    assert code_of(details) == code


@pytest.mark.parametrize("code", [4006, 5002, 9999])
def test_what_may_arrive_later_is_tried_twice_more(code: int) -> None:
    pauses = [pause_before_another(code, attempts) for attempts in (1, 2, 3)]
    assert pauses == [timedelta(minutes=5), timedelta(minutes=30), None]


@pytest.mark.parametrize("code", [2000, 4000, 4002, 4004, 4007, 4010, 5000, None])
def test_nothing_else_is_tried_again(code: int | None) -> None:
    assert pause_before_another(code, 1) is None
