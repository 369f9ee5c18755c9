"""The maps of the code, for those who look for something, show the folders of today; and links at the root lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from unit.repository.reference_pages import REPOSITORY

CONNECTOR = REPOSITORY / "connector" / "ehr_connector"
ARCHITECTURE = REPOSITORY / "docs" / "explanation" / "architecture.md"
AT_THE_ROOT = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
WITHOUT_CODE = {"bench", "crds", "deploy", "docs", "tests"}


def _folders(of: Path) -> set[str]:
    found = (entry.name for entry in of.iterdir() if entry.is_dir())
    return {name for name in found if not name.startswith((".", "__"))}


def _of_the_repository() -> set[str]:
    """Return the folders at the root; a clone that is used holds others besides."""
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    return {package.split("/")[0] for package in build["targets"]["wheel"]["packages"]} | WITHOUT_CODE


def _named(text: str) -> set[str]:
    """Return the first part of each path in backticks."""
    return {path.partition("/")[0] for path in re.findall(r"`([\w.-]+/[^`\s]*)`", text)}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_folder_of_the_repository_has_its_line(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if line.startswith(("| [", "| `")))

    assert _of_the_repository() - _named(lines) == set()


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", ARCHITECTURE])
def test_every_folder_of_tests_is_named_with_what_it_needs(page: Path) -> None:
    words = set(re.findall(r"`(?:tests/)?(\w+)`", page.read_text(encoding="utf-8")))

    assert _folders(REPOSITORY / "tests") - words == set()


def test_every_package_of_the_connector_has_its_line_and_every_line_its_package() -> None:
    _, _, section = ARCHITECTURE.read_text(encoding="utf-8").partition("\n## The connector\n")
    section = section.partition("\n## ")[0]
    named = {path.rstrip("/") for path in re.findall(r"`(\w+/)`", section)}
    inner = {folder.name for folder in CONNECTOR.rglob("*") if folder.is_dir()}

    assert _folders(CONNECTOR) - named == set()
    assert named - inner == set()
    modules = set(re.findall(r"`(\w+\.py)`", section))
    assert [name for name in sorted(modules) if not (CONNECTOR / name).is_file()] == []


@pytest.mark.parametrize("page", AT_THE_ROOT, ids=lambda page: page.name)
def test_every_link_at_the_root_leads_somewhere(page: Path) -> None:
    """mkdocs reads docs/ alone."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text)
    here = [one or other for one, other in targets if not (one or other).startswith(("http://", "https://"))]

    assert [target for target in here if not (page.parent / target).exists()] == []


def test_every_path_that_a_page_names_is_there() -> None:
    """But for the one that must not be: it would hide Python's own module."""
    pages = [*AT_THE_ROOT, *(REPOSITORY / "docs").rglob("*.md")]
    folders = "|".join(sorted(_of_the_repository() - {"docs"}))
    named = {
        path
        for page in pages
        for path in re.findall(rf"`((?:{folders}|requirements)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    }

    assert len(named) > 50
    assert {path for path in named if not (REPOSITORY / path).exists()} == {"operator/__init__.py"}
