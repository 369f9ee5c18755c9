"""One id for each request, in its log lines and in its error answer."""

from __future__ import annotations

import logging
from contextvars import ContextVar

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""The id of the request that is being handled."""


class CorrelationFilter(logging.Filter):
    """Adds the id to each log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with the id."""
        current = correlation_id.get()
        if current is not None:
            record.correlation_id = current
        return True
