"""The page of the reports' columns, statuses and addresses is made from the code."""

from __future__ import annotations

from unit.repository.reference_pages import DOCS, REPOSITORY
from unit.repository.reference_reports import COMMAND, reports_page


def test_the_page_is_what_the_command_on_it_prints() -> None:
    assert (DOCS / "reference/report-columns.md").read_text(encoding="utf-8") == reports_page()
    assert (REPOSITORY / COMMAND.split()[1]).exists()
