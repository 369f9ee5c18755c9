"""Charts of the reports: numbers in pictures and tables are those that were given, and nothing in them is forbidden."""

from __future__ import annotations

import sys
from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.ehr_connector_config import QualityDimension
from ehr_connector.audit import Action, Outcome
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.reports.charts import messages, quality, visits
from ehr_connector.reports.charts.audit import ACTIONS, OUTCOMES
from ehr_connector.reports.charts.blocks import Drawing, Group
from ehr_connector.reports.charts.drawing import Series, Shape, Tone, chart, ticks_to
from ehr_connector.reports.ports import BroughtBy, MessageStatus, VisitStatus, VisitSummary
from ehr_connector.reports.quality.ports import PoorBecause, QualityCounts, QualitySummary
from ehr_connector.reports.web.filters import Chosen, chosen, department_names, usual_environment
from ehr_connector.reports.web.views import Block
from ehr_connector.web.locales import Language, Locales

TODAY = date(2026, 11, 24)
GROUPS = (Group("Good", Tone.GOOD, frozenset({"good"})), Group("Poor", Tone.BAD, frozenset({"poor"})))


@pytest.fixture(scope="module")
def english() -> Language:
    return Locales().choose("en", None)


def drawn(shape: Shape, labels: list[str], *values: list[float | None]) -> ET.Element:
    tones = list(Tone)
    series = [Series(f"Series <{number}>", tones[number], one) for number, one in enumerate(values)]
    return ET.fromstring(chart(shape, labels, series, title="About <this>", form=lambda value: f"{value:g}"))


def numbers_of(block: Block, column: int) -> int:
    return sum(int(row[column].replace(",", "")) for row in block.table.rows)


@pytest.mark.parametrize("shape", Shape)
def test_a_chart_has_nothing_inline_and_a_name(shape: Shape) -> None:
    root = drawn(shape, ["a", "b & c", "d"], [1, 2, 3], [0, None, 5])

    tags = {node.tag.rpartition("}")[2] for node in root.iter()}
    attributes = {name for node in root.iter() for name in node.attrib}

    assert tags <= {"svg", "g", "rect", "path", "text", "circle", "title"}
    assert not [name for name in attributes if name == "style" or name.startswith("on") or "href" in name]
    assert (root.get("role"), root.get("aria-label")) == ("img", "About <this>")


@pytest.mark.parametrize("shape", [Shape.COLUMNS, Shape.BARS])
def test_each_bar_tells_its_series_its_place_and_its_number(shape: Shape) -> None:
    root = drawn(shape, ["a", "b"], [1, 20], [300, 4])

    told = {node.text for node in root.iter() if node.tag.endswith("title")}

    assert told == {"a: Series <0>: 1", "b: Series <0>: 20", "a: Series <1>: 300", "b: Series <1>: 4"}


def test_a_chart_of_nothing_but_zeros_is_drawn() -> None:
    assert drawn(Shape.COLUMNS, ["a"], [0]).get("class") == "chart chart-columns"


def test_the_library_leaves_no_import_hook_behind() -> None:
    assert [finder for finder in sys.meta_path if type(finder).__module__ == "pygal"] == []


@given(st.floats(min_value=0, max_value=1e7, allow_nan=False))
def test_ticks_begin_at_zero_rise_evenly_and_reach_the_highest(highest: float) -> None:
    ticks = ticks_to(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 2 <= len(ticks) <= 8
    assert len({round(after - before, 6) for before, after in pairwise(ticks)}) == 1


@pytest.mark.parametrize(("days", "kind"), [(7, "Day"), (90, "Week from"), (365, "Month")])
def test_what_is_summed_over_time_is_what_was_given(english: Language, days: int, kind: str) -> None:
    first = TODAY - timedelta(days=days - 1)
    by_day = {first + timedelta(days=number): {"good": number, "poor": 1} for number in range(days)}

    block = Drawing(Chosen(first, TODAY), english).over_time("x", "Title", by_day, GROUPS)

    assert block.table.headers == [kind, "Good", "Poor", "Total"]
    assert numbers_of(block, 1) == sum(range(days))
    assert numbers_of(block, 2) == days
    assert numbers_of(block, 3) == sum(range(days)) + days


def test_days_without_anything_are_there(english: Language) -> None:
    block = Drawing(Chosen(TODAY - timedelta(days=6), TODAY), english).over_time("x", "Title", {}, GROUPS)

    assert [row[1:] for row in block.table.rows] == [["0", "0", "0"]] * 7


@pytest.mark.parametrize("days", [7, 90, 365])
def test_what_is_of_another_day_at_its_clinic_is_not_lost(english: Language, days: int) -> None:
    first = TODAY - timedelta(days=days - 1)
    by_day = {day: {"good": 1} for day in (first - timedelta(days=1), first, TODAY, TODAY + timedelta(days=1))}
    drawing = Drawing(Chosen(first, TODAY), english)

    columns = drawing.over_time("x", "Title", by_day, GROUPS)
    lines = drawing.lines("x", "Title", [("Line", Tone.GOOD, dict.fromkeys(by_day, 60))], lambda value: f"{value:g}")

    assert numbers_of(columns, 3) == 4
    assert len(lines.table.rows) == 4


def test_the_picture_has_the_dozen_largest_and_the_table_all(english: Language) -> None:
    counts = {f"department {number}": {"good": number} for number in range(40)}

    block = Drawing(Chosen(TODAY, TODAY), english).by_name("x", "Title", "Department", counts, GROUPS)

    assert [row[0] for row in block.table.rows[:2]] == ["department 39", "department 38"]
    assert len(block.table.rows) == 40
    assert "department 28" in str(block.picture)
    assert "department 27" not in str(block.picture)
    assert block.hint == "The picture shows the largest; the table has all."


def test_a_name_of_the_ehr_is_text_in_the_picture(english: Language) -> None:
    counts = {"<script>alert(1)</script>": {"good": 1}}

    block = Drawing(Chosen(TODAY, TODAY), english).by_name("x", "Title", "Department", counts, GROUPS)

    assert "<script" not in str(block.picture)


@given(st.dictionaries(st.sampled_from(["from", "to", "department", "lang"]), st.text(max_size=80)))
def test_whatever_stands_in_an_address_some_days_are_chosen(query: dict[str, str]) -> None:
    has = chosen(query, TODAY)

    assert has.first <= has.last
    assert 1 <= has.days <= 3 * 366
    assert has.filters("America/Chicago").start < has.filters("America/Chicago").end


def test_the_default_is_the_last_thirty_days_and_an_address_gives_what_it_says() -> None:
    usual = chosen({}, TODAY)
    asked = chosen({"from": "2026-11-30", "to": "2026-11-01", "department": "oncology"}, TODAY)

    assert (usual.first, usual.last) == (date(2026, 10, 26), TODAY)
    assert (asked.first, asked.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert chosen(dict([part.split("=") for part in asked.query().split("&")]), TODAY) == asked


def test_tests_are_not_mixed_into_what_production_shows_unless_they_are_asked_for() -> None:
    usual = usual_environment(OrganizationConfiguration.model_validate(ORGANIZATION_CONFIGURATION))
    asked = chosen({}, TODAY, usual)

    assert (usual, asked.environment) == ("Production", "Production")
    assert "environment=Production" in asked.query()
    for environment in ("", "Test"):
        other = chosen({"environment": environment}, TODAY, usual)
        assert other.environment == environment
        assert chosen(dict(parse_qsl(other.query(), keep_blank_values=True)), TODAY, usual) == other


def test_before_production_holds_visits_everything_is_shown() -> None:
    document = deepcopy(ORGANIZATION_CONFIGURATION)
    for endpoint in document["endpoints"]:
        endpoint["active"] = endpoint["environment"] == "Test"

    assert usual_environment(OrganizationConfiguration.model_validate(document)) == ""


def test_departments_of_one_name_keep_their_numbers_apart(english: Language) -> None:
    names = {"north-skin": "Dermatology", "south-skin": "Dermatology", "eyes": "Eyes"}
    drawing = Drawing(Chosen(TODAY, TODAY), english)
    seen = VisitSummary(6, by_department={name: {VisitStatus.COMPLETED: 2} for name in names})
    heard = QualitySummary(by_department={name: QualityCounts(good=2) for name in names})

    for blocks in (visits.blocks(seen, names, drawing), quality.blocks(heard, names, [], drawing)):
        (departments,) = [one for one in blocks if one.id == "by-department"]
        assert [row[0] for row in departments.table.rows] == [
            "Dermatology (north-skin)",
            "Dermatology (south-skin)",
            "Eyes",
        ]
        assert numbers_of(departments, len(departments.table.headers) - 1) == 6


def test_a_filter_tells_departments_of_one_name_apart() -> None:
    document = deepcopy(ORGANIZATION_CONFIGURATION)
    (first, *_) = document["endpoints"]
    first["departments"] = [
        first["departments"][0] | {"name": one, "displayName": "Skin"} for one in ("north", "south")
    ]

    names = department_names(OrganizationConfiguration.model_validate(document | {"endpoints": [first]}))

    assert names == {"north": "Skin (north)", "south": "Skin (south)"}


def test_values_of_a_dimension_are_called_what_their_source_calls_them(english: Language) -> None:
    dimensions = [
        QualityDimension(name="ward", source="Department"),
        QualityDimension(name="sort", source="VisitType"),
        QualityDimension(name="way", source="NetworkKind"),
    ]
    one = QualityCounts(good=1)
    summary = QualitySummary(
        dimensions={
            "ward": {"patient": one, "skin": one, "other": one},
            "sort": {"patient": one, "consult": one},
            "way": {"wifi": one, "unknown": one},
        }
    )

    blocks = quality.blocks(summary, {"skin": "Dermatology"}, dimensions, Drawing(Chosen(TODAY, TODAY), english))

    labels = {block.title: [row[0] for row in block.table.rows] for block in blocks if block.id.startswith("dimension")}
    assert labels == {
        "ward": ["patient", "Dermatology", "Other"],
        "sort": ["With a patient", "Among clinicians"],
        "way": ["Wi-Fi", "Unknown"],
    }


def test_every_code_has_words() -> None:
    missing = {
        "actions": set(Action) - ACTIONS.keys(),
        "outcomes": set(Outcome) - OUTCOMES.keys(),
        "visits": set(VisitStatus) - visits.STATUSES.keys(),
        "channels": set(BroughtBy) - visits.CHANNELS.keys(),
        "messages": set(MessageStatus) - messages.STATUSES.keys(),
        "occasions": set(Occasion) - messages.OCCASIONS.keys(),
        "causes": set(PoorBecause) - quality.BECAUSE.keys(),
    }

    assert {name: codes for name, codes in missing.items() if codes} == {}
