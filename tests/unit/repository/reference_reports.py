"""Prints docs/reference/report-columns.md: the addresses of the reports' API, and every column and status, from the code."""

from __future__ import annotations

import ast
import inspect
from enum import StrEnum
from textwrap import dedent
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ehr_connector.reports.message_statuses import STATUS_OF_REASON
from ehr_connector.reports.ports import (
    Access,
    AuditRow,
    BroughtBy,
    ConsumptionRow,
    MessageRow,
    MessageStatus,
    Reader,
    ReportRole,
    VisitStatus,
)
from ehr_connector.reports.quality.ports import QualityRow
from ehr_connector.reports.web.api import ReportsApi

COMMAND = ".venv/bin/python tests/unit/repository/reference_reports.py > docs/reference/report-columns.md"
_INTRODUCTION = f"""# Columns of reports

What the pages, the downloads and the JSON API of the reports tell; [how to read them](../how-to/reports.md). Rows hold no identities:
a visit is named by the keyed digest that the audit log has for it too. Visits belong to the time that they are booked for, messages
to the time at which they were first sent. A day is a day at the clinic; messages are counted by the days of `timeZone`.

This page is generated from the code. After a change, run

```
{COMMAND}
```

## Addresses

`/reports/api/v1/openapi.json` describes them to programs. `form` is `csv` or `json`; both are sent while they are read from the
database, so that their size is limited by nothing. In CSV a text that a spreadsheet would take for a formula begins with `'`.
"""


def reports_page() -> str:
    """Return the page as it is to stand in the repository."""
    parts = [_INTRODUCTION + _addresses()]
    rows = {"Visits": ConsumptionRow, "Messages": MessageRow, "Call quality": QualityRow, "Audit": AuditRow}
    parts += [_columns(f"Columns: {title}", kind) for title, kind in rows.items()]
    parts += [
        _values("Status of a visit", VisitStatus),
        _values("What brought the patient", BroughtBy),
        _values("Status of a message", MessageStatus),
        _codes(),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def _addresses() -> str:
    app = FastAPI()
    api: Any = ReportsApi
    app.include_router(api(None, None, _nobody, None, None).router())
    described = get_openapi(title="", version="", routes=app.routes)
    lines = ["", "| GET | what |", "| --- | --- |"]
    lines += [f"| `{path}` | {operations['get']['description']} |" for path, operations in described["paths"].items()]
    (one,) = [path for path in described["paths"] if path.endswith("visits/summary")]
    lines += ["", "| in the query | what |", "| --- | --- |"]
    for parameter in described["paths"][one]["get"]["parameters"]:
        if parameter["in"] == "query":
            told = parameter.get("description", "may be repeated; by default all")
            lines.append(f"| `{parameter['name']}` | {told} |")
    return "\n".join(lines)


def _nobody(_role: ReportRole) -> Access:
    async def reader(_request: Request) -> Reader:
        raise AssertionError("the page is written from the description; nobody is asked for rows")

    return reader


def _columns(title: str, kind: type[Any]) -> str:
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    lines = [f"## {title}\n", "| column | type | what it holds |", "| --- | --- | --- |"]
    return "\n".join(lines + _rows_of(schema, schema.get("$defs", {})))


def _rows_of(schema: dict[str, Any], known: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, told in schema["properties"].items():
        inner = known.get(str(told.get("$ref", "")).rpartition("/")[2], {})
        if "properties" in inner:
            lines += _rows_of(inner, known)
        else:
            lines.append(f"| `{name}` | {_type(told, known)} | {_flat(told.get('description', ''))} |")
    return lines


def _type(told: dict[str, Any], known: dict[str, Any]) -> str:
    if "anyOf" in told:
        return " or ".join(_type(one, known) for one in told["anyOf"])
    reference = str(told.get("$ref", "")).rpartition("/")[2]
    if reference:
        return _type(known[reference], known)
    return str(told.get("format", told.get("type", "text")))


def _values(title: str, kind: type[StrEnum]) -> str:
    lines = [f"## {title}\n", "| value | meaning |", "| --- | --- |"]
    docs = _docs_of(kind)
    return "\n".join([*lines, *(f"| `{one.value}` | {_flat(docs.get(one.name, ''))} |" for one in kind)])


def _codes() -> str:
    lines = ["## Provider's codes and their status\n", "| code | status |", "| --- | --- |"]
    lines += [f"| `{code}` | `{status.value}` |" for code, status in STATUS_OF_REASON.items()]
    return "\n".join([*lines, f"| every other failure | `{MessageStatus.OTHER_ERROR.value}` |"])


def _docs_of(kind: type[StrEnum]) -> dict[str, str]:
    """Return the text that stands below each member."""
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for member, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            (target,) = member.targets
            assert isinstance(target, ast.Name)
            found[target.id] = str(below.value.value)
    return found


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reports_page(), end="")  # noqa: T201 (the page is the output)
