"""No column can come into the schema unseen: each is listed here with what it holds, and none of it is about a patient."""

from __future__ import annotations

from sqlalchemy import JSON, LargeBinary
from unit.repository.reference_inventory import COMMAND, inventory_page
from unit.repository.reference_pages import DOCS, REPOSITORY

from ehr_connector.store.inventory import INVENTORY
from ehr_connector.store.schema import metadata


def test_every_column_is_listed_with_what_it_holds() -> None:
    found = {table.name: {column.name for column in table.columns} for table in metadata.sorted_tables}
    assert found == {table: set(columns) for table, columns in INVENTORY.items()}


def test_no_column_takes_any_shape_of_data() -> None:
    shapeless = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, JSON | LargeBinary)
    ]
    assert shapeless == []


def test_only_the_configuration_document_has_no_limit_of_length() -> None:
    unlimited = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.type.python_type is str and getattr(column.type, "length", None) is None
    ]
    assert unlimited == ["organization.document"]


def test_the_page_of_the_data_inventory_is_made_from_the_schema() -> None:
    """The command that the page gives mends a difference."""
    assert (DOCS / "reference/data-inventory.md").read_text(encoding="utf-8") == inventory_page()
    assert (REPOSITORY / COMMAND.split()[1]).exists()
