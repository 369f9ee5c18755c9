"""Rows as CSV and as JSON, a piece at a time: memory stays flat however many there are."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar, get_type_hints

from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from ehr_api.meta import api_name

_Row = TypeVar("_Row")
_ROWS = 250
"""Rows in a piece: some tens of kilobytes."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula. Source: OWASP, "CSV Injection"."""


Own = Mapping[str, Sequence[str]]
"""Which keys a field has that is a mapping: in CSV each is a column."""
_NOTHING: Own = {}


class Form(StrEnum):
    """As what rows are told; the end of the path."""

    CSV = "csv"
    JSON = "json"


_MEDIA_TYPES = {Form.CSV: "text/csv; charset=utf-8; header=present", Form.JSON: "application/json"}


def download(
    rows: AsyncIterator[_Row], row_type: type[_Row], form: Form, file_name: str, own: Own = _NOTHING
) -> StreamingResponse:
    """Return an answer that sends rows while they are read; one that breaks off is not complete as HTTP has it."""
    pieces = csv_of(rows, row_type, own) if form is Form.CSV else json_of(rows, row_type)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}.{form.value}"'}
    return StreamingResponse(pieces, media_type=_MEDIA_TYPES[form], headers=headers)


async def csv_of(rows: AsyncIterator[_Row], row_type: type[_Row], own: Own = _NOTHING) -> AsyncIterator[bytes]:
    """Give a header and a line for each row (RFC 4180); columns are named as the fields in JSON are."""
    names, cells_of = _columns(row_type, own)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(names)
    held = 0
    async for row in rows:
        writer.writerow([_cell(one) for one in cells_of(row)])
        held += 1
        if held == _ROWS:
            yield _taken(buffer)
            held = 0
    yield _taken(buffer)


async def json_of(rows: AsyncIterator[_Row], row_type: type[_Row]) -> AsyncIterator[bytes]:
    """Give one array of objects."""
    adapter = TypeAdapter(row_type)
    buffer = bytearray(b"[")
    held, between = 0, b"\n"
    async for row in rows:
        buffer += between + adapter.dump_json(row, by_alias=True)
        held, between = held + 1, b",\n"
        if held == _ROWS:
            yield bytes(buffer)
            buffer.clear()
            held = 0
    yield bytes(buffer) + b"\n]\n"


def _columns(row_type: type[Any], own_of: Own) -> tuple[Sequence[str], Callable[[Any], Sequence[object]]]:
    """Return the names of the columns and what gives their values; fields of a field stand beside the others."""
    hints = get_type_hints(row_type)
    names: list[str] = []
    nested: dict[str, Callable[[Any], Sequence[object]]] = {}
    for one in fields(row_type):
        if one.name in own_of:
            keys = own_of[one.name]
            nested[one.name] = partial(_values_of, keys)
            names.extend(f"dimension.{key}" if key in names else key for key in keys)
        elif is_dataclass(kind := hints[one.name]) and isinstance(kind, type):
            inner, nested[one.name] = _columns(kind, own_of)
            names.extend(inner)
        else:
            names.append(api_name(one.name))
    own = [one.name for one in fields(row_type)]

    def cells_of(row: Any) -> Sequence[object]:
        if not nested:
            return [getattr(row, name) for name in own]
        cells: list[object] = []
        for name in own:
            value = getattr(row, name)
            cells.extend(nested[name](value) if name in nested else (value,))
        return cells

    return names, cells_of


def _values_of(keys: Sequence[str], told: Mapping[str, str]) -> Sequence[object]:
    return [told.get(key, "") for key in keys]


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple | list):
        value = " ".join(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (of any)
    if isinstance(value, str):
        text = str(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return value


def _taken(buffer: io.StringIO) -> bytes:
    piece = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return piece
