"""Fixtures: a hospital, and the clinician's and the patient's windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser.conftest import OpenContext
from browser.visit.hospital import Chart, Hospital, running_hospital
from playwright.sync_api import BrowserContext, Page, expect

from ehr_sandbox.cerner.people import PRACTITIONER_IDS
from ehr_sandbox.local_ca import LocalCA

_WAIT_MS = 15_000
OpenChart = Callable[..., Chart]
OpenPhone = Callable[..., Page]


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """Give pages the time that a busy machine needs."""
    expect.set_options(timeout=_WAIT_MS)


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The stand-ins and the connector, for all tests: visits, and clinicians who sign in, are each test's own."""
    ca = LocalCA.create(tmp_path_factory.mktemp("ca"))
    with running_hospital(tmp_path_factory.mktemp("hospital"), ca) as running:
        yield running


@pytest.fixture
def desk(context: OpenContext) -> BrowserContext:
    """The clinician's window."""
    # The authority is the tests' own: the browser takes its certificates without a question.
    return context(ignore_https_errors=True, locale="en-US", viewport={"width": 1280, "height": 900})


@pytest.fixture
def chart(desk: BrowserContext, hospital: Hospital) -> OpenChart:
    """Makes a page of the EHR; `practitioner` is the number of a clinician."""

    def open_chart(practitioner: int = 0) -> Chart:
        return Chart(hospital, desk.new_page(), PRACTITIONER_IDS[practitioner])

    return open_chart


@pytest.fixture
def phone(context: OpenContext) -> OpenPhone:
    """Makes a patient's window."""

    def open_phone(*, camera: bool = True, **options: object) -> Page:
        window = context(
            camera=camera,
            ignore_https_errors=True,
            locale="en-US",
            viewport={"width": 412, "height": 840},
            **options,
        )
        return window.new_page()

    return open_phone
