"""When we fail ourselves: a page with the id of the log's line, also in the EHR's frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import Hospital
from playwright.sync_api import expect
from sqlalchemy import Engine, event


@contextmanager
def failing_database() -> Iterator[None]:
    """Let every statement fail."""

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("Nancy Smart's row")

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


def test_our_own_failure_is_a_page_with_a_reference_for_the_patient(hospital: Hospital, phone: OpenPhone) -> None:
    visit = hospital.book()
    page = phone(java_script_enabled=False)
    page.goto(visit.patient_link)

    with failing_database():
        page.get_by_role("button", name="Join the visit").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This did not work")

    expect(page.locator(".reference code")).to_have_text(re.compile("[0-9a-f]{32}"))
    expect(page.get_by_text("Nancy")).to_have_count(0)
    page.get_by_role("link", name="español").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Su visita por video")


def test_our_own_failure_is_read_in_the_ehrs_frame(hospital: Hospital, chart: OpenChart) -> None:
    visit = hospital.book()
    opened = chart(5).open(visit)
    opened.shows("Sign in to Microsoft once")

    with failing_database():
        opened.document.evaluate("location.reload()")
        opened.shows("This did not work")

    expect(opened.frame.locator(".reference code")).to_have_text(re.compile("[0-9a-f]{32}"))
