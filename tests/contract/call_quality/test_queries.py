"""Summaries and rows of call quality, on both databases: they agree, with each other and with the thresholds of the moment."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from contract.call_quality.running import Hospital
from sqlalchemy.ext.asyncio import AsyncConnection

from ehr_connector.reports.ports import Filters, Reader
from ehr_connector.reports.quality.extraction import NETWORK_KINDS, PLATFORMS, Leg
from ehr_connector.reports.quality.ports import OTHER, UNKNOWN, Figures, PoorBecause, QualityCounts, QualityRow
from ehr_connector.reports.quality.queries import QualityReports
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import Side

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
READER = Reader("lamna", "lamna", frozenset())
ALL = Filters(START - timedelta(days=1), START + timedelta(days=60))
GOOD = Figures(jitter_ms=5.0, round_trip_ms=60.0, packet_loss=0.01, concealed_audio=0.01, frame_rate=25.0)
JITTERY = replace(GOOD, jitter_ms=31.0)


@dataclass
class Book:
    """Call quality with the queries on it."""

    hospital: Hospital
    queries: QualityReports

    async def call(self, number: int, *legs: Leg, **visit: Any) -> None:
        """Record a call of a visit of its own."""
        usual: dict[str, Any] = {
            "visit": f"v{number}",
            "namespace": "lamna",
            "name": "lamna",
            "endpoint": "e",
            "environment": "Test",
            "profile_digest": "d",
            "department": "cardiology",
            "kind": "patient",
            "starts_at": START,
            "ends_at": START + timedelta(minutes=30),
        }
        row = VisitRow(**usual | visit)
        await self.hospital.quality.rows.put(f"c{number}", 1, row, row.starts_at.date(), legs, _nothing)

    async def rows(self, filters: Filters = ALL, reader: Reader = READER) -> Sequence[QualityRow]:
        return [row async for row in self.queries.quality_rows(reader, filters)]


async def _nothing(_connection: AsyncConnection) -> None:
    """Follow with nothing."""


def leg(figures: Figures = GOOD, **changes: Any) -> Leg:
    return replace(Leg(Side.PATIENT, START, 60, "wifi", "web", figures), **changes)


@pytest.fixture
async def book(hospital: Hospital) -> Book:
    await hospital.configure(reports={"thresholds": {}})
    return Book(hospital, QualityReports(hospital.engine, hospital.directory))


async def test_a_call_is_poor_when_one_of_its_legs_is(book: Book) -> None:
    await book.call(1, leg(), leg(JITTERY, side=Side.PROVIDER, platform="windows", network_kind="wired"))
    await book.call(2, leg(), starts_at=START + timedelta(days=1), department="oncology")
    await book.call(3, leg(Figures()), starts_at=START + timedelta(days=1))

    found = await book.queries.quality_summary(READER, ALL)

    assert found.calls == QualityCounts(good=1, poor=1, unclassified=1)
    assert found.by_day == {
        date(2026, 11, 1): QualityCounts(poor=1),
        date(2026, 11, 2): QualityCounts(good=1, unclassified=1),
    }
    assert found.by_department == {
        "cardiology": QualityCounts(poor=1, unclassified=1),
        "oncology": QualityCounts(good=1),
    }
    assert found.legs == QualityCounts(good=2, poor=1, unclassified=1)
    assert found.by_side == {"patient": QualityCounts(good=2, unclassified=1), "provider": QualityCounts(poor=1)}
    assert found.by_network_kind["wired"] == QualityCounts(poor=1)
    assert found.by_platform["windows"] == QualityCounts(poor=1)
    assert found.because == {PoorBecause.JITTER: 1}


async def test_a_new_threshold_holds_for_the_past_too(book: Book) -> None:
    await book.call(1, leg())
    await book.hospital.configure(reports={"thresholds": {"jitter": "4ms", "frameRate": 26}})

    found = await book.queries.quality_summary(READER, ALL)

    assert found.calls == QualityCounts(poor=1)
    assert found.because == {PoorBecause.JITTER: 1, PoorBecause.FRAME_RATE: 1}
    assert [row.poor_because for row in await book.rows()] == [[PoorBecause.JITTER, PoorBecause.FRAME_RATE]]


async def test_the_organisations_own_dimensions_are_counted_up_to_their_cap(book: Book) -> None:
    for number, location in enumerate(["a", "a", "a", "b", "b", "c", "d", None]):
        await book.call(number, leg(), location=location, kind="consult" if number == 0 else "patient")
    dimensions = [
        {"name": "where", "source": "Location", "maxValues": 2},
        {"name": "sort", "source": "VisitType"},
    ]
    await book.hospital.configure(reports={"dimensions": dimensions})

    found = await book.queries.quality_summary(READER, ALL)

    assert list(found.dimensions) == ["where", "sort"]
    assert found.dimensions["where"] == {
        "a": QualityCounts(good=3),
        "b": QualityCounts(good=2),
        OTHER: QualityCounts(good=3),
    }
    assert found.dimensions["sort"] == {"patient": QualityCounts(good=7), "consult": QualityCounts(good=1)}
    rows = await book.rows()
    assert await book.queries.dimensions(READER) == ["where", "sort"]
    for name, counts in found.dimensions.items():
        assert Counter(row.dimensions[name] for row in rows) == {value: one.total for value, one in counts.items()}
    assert {row.location for row in rows} == {"a", "b", "c", "d", "unknown"}


async def test_filters_choose_by_time_department_endpoint_and_environment_and_organisations_are_apart(
    book: Book,
) -> None:
    await book.call(1, leg())
    await book.call(2, leg(), starts_at=START + timedelta(hours=1))
    await book.call(3, leg(), department="oncology")
    await book.call(4, leg(), endpoint="other")
    await book.call(5, leg(), environment="Production")
    await book.call(6, leg(), name="other")
    chosen = {
        "v1": Filters(START, START + timedelta(hours=1), ["cardiology"], ["e"], ["Test"]),
        "v2": Filters(START + timedelta(hours=1), START + timedelta(hours=2)),
        "v3": replace(ALL, departments=["oncology", "unknown"]),
        "v4": replace(ALL, endpoints=["other"]),
        "v5": replace(ALL, environments=["Production"]),
    }

    for visit, filters in chosen.items():
        assert [row.visit for row in await book.rows(filters)] == [visit]
        assert (await book.queries.quality_summary(READER, filters)).calls.total == 1
    assert [row.visit for row in await book.rows(reader=Reader("lamna", "other", frozenset()))] == ["v6"]


async def test_summaries_are_the_sums_of_the_rows(book: Book) -> None:
    dice = random.Random(7)
    for number in range(150):
        legs = [
            leg(
                Figures(
                    jitter_ms=dice.choice([None, 5.0, 30.0, 30.001]),
                    packet_loss=dice.choice([None, 0.1, 0.1000001]),
                    frame_rate=dice.choice([None, 6.99, 7.0, 30.0]),
                ),
                side=dice.choice([Side.PATIENT, Side.PROVIDER, None]),
                network_kind=dice.choice([*NETWORK_KINDS, UNKNOWN]),
                platform=dice.choice([*PLATFORMS, UNKNOWN]),
            )
            for _ in range(dice.randint(1, 3))
        ]
        await book.call(number, *legs, starts_at=START + timedelta(days=dice.randint(0, 9)))

    rows = await book.rows()
    found = await book.queries.quality_summary(READER, ALL)

    assert len(rows) == len({(row.call, row.leg) for row in rows}) == found.legs.total
    assert found.because == Counter(reason for row in rows for reason in row.poor_because or ())
    for key, counted in (
        (lambda row: row.side or UNKNOWN, found.by_side),
        (lambda row: row.network_kind, found.by_network_kind),
        (lambda row: row.platform, found.by_platform),
    ):
        assert _counted([(key(row), row.poor_because) for row in rows]) == counted
    assert found.legs.poor == sum(bool(row.poor_because) for row in rows)
    calls = {row.call: row.day for row in rows}
    poor = {row.call for row in rows if row.poor_because}
    judged = {row.call for row in rows if row.poor_because is not None}
    assert found.calls == QualityCounts(len(judged - poor), len(poor), len(calls.keys() - judged))
    assert {day: one.total for day, one in found.by_day.items()} == Counter(calls.values())


def _counted(told: Sequence[tuple[str, Sequence[PoorBecause] | None]]) -> dict[str, QualityCounts]:
    found: dict[str, QualityCounts] = {}
    for key, because in told:
        one = found.get(key, QualityCounts())
        found[key] = QualityCounts(
            good=one.good + (because is not None and not because),
            poor=one.poor + bool(because),
            unclassified=one.unclassified + (because is None),
        )
    return found


async def test_without_calls_there_is_nothing_and_no_rate(book: Book) -> None:
    found = await book.queries.quality_summary(READER, ALL)

    assert (found.calls, found.calls.poor_rate, found.by_day) == (QualityCounts(), None, {})
    assert await book.rows() == []
