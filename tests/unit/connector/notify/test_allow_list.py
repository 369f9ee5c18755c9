"""Whom a Test endpoint may write to: what stands in the organisation's file at that moment, and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ehr_connector.notify.allow_list import AllowLists

PHONE = "+18165550101"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """The file of the organisation lamna."""
    path = tmp_path / "lamna" / "lamna"
    path.parent.mkdir()
    path.write_text(f"  {PHONE} \r\n\nPat@Home.example\n")
    return path


@pytest.mark.parametrize(
    ("recipient", "holds"),
    [(PHONE, True), ("pat@home.example", True), ("+1816555010", False), ("", False), ("home.example", False)],
)
@pytest.mark.usefixtures("listed")
def test_a_line_allows_one_recipient(tmp_path: Path, recipient: str, holds: bool) -> None:
    assert AllowLists(tmp_path).holds("lamna", "lamna", recipient) is holds


def test_a_change_holds_at_once(tmp_path: Path, listed: Path) -> None:
    lists = AllowLists(tmp_path)
    before = lists.holds("lamna", "lamna", PHONE)
    listed.write_text("")
    assert (before, lists.holds("lamna", "lamna", PHONE)) == (True, False)


@pytest.mark.usefixtures("listed")
def test_another_organisation_has_a_list_of_its_own(tmp_path: Path) -> None:
    assert not AllowLists(tmp_path).holds("lamna", "other", PHONE)
    assert not AllowLists(tmp_path).holds("other", "lamna", PHONE)


def test_without_a_folder_or_a_readable_file_nobody_is_allowed(tmp_path: Path, listed: Path) -> None:
    listed.write_bytes(b"\xff\xfe")
    assert not AllowLists(tmp_path).holds("lamna", "lamna", PHONE)
    assert not AllowLists(None).holds("lamna", "lamna", PHONE)
