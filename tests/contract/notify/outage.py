"""A database that goes away at one statement and comes back when a test says so."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass
class Outage:
    """Counts statements and commits; from one of them on all fail."""

    left: int | None = None
    """Steps that still succeed."""
    after_it: bool = False
    """Whether the first that fails is done nevertheless, and only its answer is lost."""
    is_away: bool = False

    def goes_away(self, *, at: int, after_it: bool) -> None:
        """Let the database be away after so many steps."""
        self.left, self.after_it, self.is_away = at, after_it, False

    def comes_back(self) -> bool:
        """End it, and return whether it had begun."""
        was_away, self.left, self.is_away = self.is_away, None, False
        return was_away

    def begins(self) -> None:
        """A step begins."""
        if self.is_away:
            raise _gone()
        if self.left == 0 and not self.after_it:
            self.is_away = True
            raise _gone()

    def ends(self) -> None:
        """A step is done."""
        if self.left == 0:
            self.is_away = True
            raise _gone()
        if self.left is not None:
            self.left -= 1


@contextmanager
def outage(engine: AsyncEngine) -> Generator[Outage]:
    """Give the means to take a database away."""
    found, sync = Outage(), engine.sync_engine
    commit = sync.dialect.do_commit

    def begins(*_args: Any) -> None:
        found.begins()

    def ends(*_args: Any) -> None:
        found.ends()

    def do_commit(dbapi_connection: Any) -> None:
        found.begins()
        commit(dbapi_connection)
        found.ends()

    event.listen(sync, "before_cursor_execute", begins)
    event.listen(sync, "after_cursor_execute", ends)
    sync.dialect.do_commit = do_commit
    try:
        yield found
    finally:
        sync.dialect.do_commit = commit
        event.remove(sync, "before_cursor_execute", begins)
        event.remove(sync, "after_cursor_execute", ends)


def _gone() -> OperationalError:
    return OperationalError("statement", None, OSError("gone"))
