"""Logs as one JSON object a line, for whatever collects the output of containers."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_RENAMED = {"levelname": "level", "name": "logger"}
_QUIET = ("asyncio", "httpx", "httpcore", "aiohttp.access", "azure", "kopf", "uvicorn.access", "alembic")
"""Libraries that tell at INFO what our own lines and metrics tell already, some of them with whole URLs."""


def log_as_json(level: Level) -> None:
    """Send every log record to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=_RENAMED, timestamp=True))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
