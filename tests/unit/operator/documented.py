"""What the page of conditions lists, for tests that are to leave none of it out."""

from __future__ import annotations

from unit.repository.reference_pages import DOCS, rows


def reasons_in_the_way(section: str) -> set[str]:
    """Return the reasons of a section's table that a condition can have without being True."""
    table = rows(DOCS / "reference/conditions.md", section)
    return {reason.strip("`") for _, statuses, reason, *_ in table if set(statuses.split(", ")) & {"False", "Unknown"}}
