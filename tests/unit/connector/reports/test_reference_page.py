"""The page of the reports' columns, statuses and addresses is made from the code."""

from __future__ import annotations

import re

from pydantic import TypeAdapter
from unit.repository.reference_pages import DOCS, REPOSITORY, rows
from unit.repository.reference_reports import COMMAND, reports_page

from ehr_connector.reports.ports import ConsumptionRow, MessageRow


def test_the_page_is_what_the_command_on_it_prints() -> None:
    assert (DOCS / "reference/report-columns.md").read_text(encoding="utf-8") == reports_page()
    assert (REPOSITORY / COMMAND.split()[1]).exists()


def test_each_of_microsofts_columns_is_one_of_ours_that_there_is_or_is_said_to_be_none() -> None:
    ours = {
        name
        for kind in (ConsumptionRow, MessageRow)
        for name in TypeAdapter(kind).json_schema(mode="serialization")["properties"]
    }
    told = rows(DOCS / "how-to/reports.md", "Coming from Microsoft's reports")
    named = {theirs: re.findall(r"`(\w+)`", here) for theirs, here in told}
    assert {name for names in named.values() for name in names} <= ours
    assert {theirs for theirs, names in named.items() if not names} == {"Primary, e-mail", "Within limit, Premium"}
    words = " ".join(named).casefold()
    for one in (
        "start time",
        "duration",
        "attendees",
        "lobby wait",
        "status",
        "department",
        "sms sent",
        "appointment id",
    ):
        assert one in words
