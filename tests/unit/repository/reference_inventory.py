"""Prints docs/reference/data-inventory.md: every column of the connector's database, and what it holds."""

from __future__ import annotations

from ehr_connector.store.inventory import INVENTORY
from ehr_connector.store.schema import metadata

COMMAND = ".venv/bin/python tests/unit/repository/reference_inventory.py > docs/reference/data-inventory.md"
_INTRODUCTION = f"""# Data inventory

Everything that the connector writes down. No column can hold a patient's name, phone number, address, date of birth, identifier,
link or message: what leads to a person is read from the EHR when it is needed and lives in memory for the time of a request.
Visits are named by a keyed digest, which tells nothing without the connector's key. The only identity that is stored is a
clinician's: the pair of ids in `account_link`, which `python -m ehr_connector forget-user` removes.

This page is generated from the schema; a column that is not listed in `store/inventory.py` fails a test. After a change, run

```
{COMMAND}
```
"""


def inventory_page() -> str:
    """Return the page as it is to stand in the repository."""
    parts = [_INTRODUCTION]
    for table in metadata.sorted_tables:
        columns = INVENTORY[table.name]
        rows = [f"| `{column.name}` | {column.type!s} | {columns[column.name]} |" for column in table.columns]
        parts.append(
            "\n".join([f"## {table.name}\n", "| column | type | what it holds |", "| --- | --- | --- |", *rows])
        )
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


if __name__ == "__main__":
    print(inventory_page(), end="")  # noqa: T201 (the page is the output)
