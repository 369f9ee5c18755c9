"""Downloads: rows as CSV and JSON, a piece at a time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

import pytest

from ehr_connector.reports.web.downloads import Form, csv_of, download, json_of

_NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
_DAY = date(2026, 11, 18)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    jitter_ms: float | None = None
    frame_rate: int = 0


@dataclass(frozen=True)
class Row:
    text: str
    happened_at: datetime = _NOON
    day: date = _DAY
    colour: Colour = Colour.RED
    wait_s: int | None = None
    inner: Inner = Inner()
    reasons: Sequence[str] = ()


class Source:
    """Rows that note how far they were read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[Row]:
        for row in self.rows:
            self.read += 1
            yield row


async def lines(*rows: Row) -> list[list[str]]:
    text = b"".join([piece async for piece in csv_of(Source(rows).__aiter__(), Row)]).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


@dataclass(frozen=True)
class Grouped:
    text: str
    own: Mapping[str, str]


async def test_keys_of_a_mapping_are_columns_and_none_is_called_like_another() -> None:
    async def rows() -> AsyncIterator[Grouped]:
        yield Grouped("x", {"clinic": "north", "text": "other"})
        yield Grouped("y", {"clinic": "=1+1"})

    told = b"".join([piece async for piece in csv_of(rows(), Grouped, {"own": ["clinic", "text"]})]).decode()

    assert list(csv.reader(io.StringIO(told, newline=""))) == [
        ["text", "clinic", "dimension.text"],
        ["x", "north", "other"],
        ["y", "'=1+1", ""],
    ]


async def test_columns_are_named_as_fields_in_json_and_nested_ones_stand_beside_them() -> None:
    header, line = await lines(Row("a", wait_s=-5, inner=Inner(1.5, 30), reasons=("x", "y")))
    assert header == ["text", "happenedAt", "day", "colour", "waitS", "jitterMs", "frameRate", "reasons"]
    assert line == ["a", "2026-11-18T12:00:00Z", "2026-11-18", "red", "-5", "1.5", "30", "x y"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", '=cmd|" /C calc"!A0'])
async def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    _, line = await lines(Row(text))
    assert line[0] == f"'{text}"


@pytest.mark.parametrize("text", ['say "yes", or no', "two\nlines", "plain", "naïve 数", ""])
async def test_any_other_text_comes_back_as_it_was(text: str) -> None:
    _, line = await lines(Row(text))
    assert line[0] == text


@pytest.mark.parametrize("number", [0, 1, 249, 250, 251, 1000])
async def test_every_row_is_in_both_forms_once(number: int) -> None:
    rows = [Row(f"row {one}") for one in range(number)]
    assert [line[0] for line in await lines(*rows)] == ["text", *(row.text for row in rows)]
    told = b"".join([piece async for piece in json_of(Source(rows).__aiter__(), Row)])
    assert [one["text"] for one in json.loads(told)] == [row.text for row in rows]


@pytest.mark.parametrize("form", list(Form))
async def test_no_more_rows_are_read_than_are_sent(form: Form) -> None:
    source = Source([Row(f"row {one}") for one in range(10_000)])
    answer = download(source.__aiter__(), Row, form, "rows")
    pieces = aiter(answer.body_iterator)
    for number in range(1, 4):
        await anext(pieces)
        assert source.read == number * 250
    assert answer.headers["content-disposition"] == f'attachment; filename="rows.{form.value}"'
