"""Reads the tables and commands of pages in docs/."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
OPERATOR = REPOSITORY / "operator/ehr_operator"


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the tables that stand under a heading, up to the next heading of any level."""
    found: list[list[str]] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            inside = line.lstrip("#").strip().split(":")[0] == heading
        elif inside and line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not set("".join(cells)) <= {"-", " "}:
                found.append(cells)
            else:
                found.pop()  # what stands above the rule is the table's head
    return found


def commands(page: Path) -> list[str]:
    """Return the lines of the page's code blocks that call kubectl."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "kubectl " in line]
