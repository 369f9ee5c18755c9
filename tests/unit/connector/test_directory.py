"""The directory outlives a database that goes away for some minutes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError
from unit.connector.visiting import site

from ehr_connector.directory import Directory
from ehr_connector.store.organizations import Held


class Stored:
    """One organisation in a database that may be away, and the time."""

    def __init__(self) -> None:
        self.is_away = False
        self.now_s = 0.0
        self.organization = site().organization
        self.key = (self.organization.namespace, self.organization.name)

    def monotonic(self) -> float:
        """Return the time."""
        return self.now_s

    async def digests(self) -> dict[tuple[str, str], str]:
        """Return the digest of the organisation."""
        if self.is_away:
            raise SQLAlchemyError
        return {self.key: "sha256:1"}

    async def get(self, _namespace: str, _name: str) -> Held:
        """Return the organisation."""
        return Held(self.organization, "sha256:1")


async def test_configurations_of_before_are_used_while_the_database_is_away_for_minutes() -> None:
    stored: Any = Stored()
    directory = Directory(stored, stored.monotonic)
    assert await directory.organization(*stored.key) == stored.organization
    stored.is_away = True
    for stored.now_s in (1.0, 150.0, 299.0):
        assert await directory.organization(*stored.key) == stored.organization
    stored.now_s = 301.0
    with pytest.raises(SQLAlchemyError):
        await directory.organization(*stored.key)
    stored.is_away = False
    assert await directory.organization(*stored.key) == stored.organization


async def test_a_directory_that_never_had_a_database_knows_nothing() -> None:
    stored: Any = Stored()
    stored.is_away = True
    with pytest.raises(SQLAlchemyError):
        await Directory(stored, stored.monotonic).organizations()
