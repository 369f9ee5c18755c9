"""The documents build strictly, and what is generated is as the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from unit.repository.reference_kinds import COMMAND, kinds_page
from unit.repository.reference_pages import DOCS, REPOSITORY


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/reference/kinds/index.html").exists()


def test_the_page_of_kinds_is_what_the_crds_say() -> None:
    page = (DOCS / "reference/kinds.md").read_text(encoding="utf-8")
    assert page == kinds_page(), f"run {COMMAND}"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("[gone](gone.md)\n")
    (tmp_path / "mkdocs.yml").write_text((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0])
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "gone.md" in done.stderr
