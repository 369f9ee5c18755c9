"""Logs as one JSON object a line, for whatever collects the output of containers."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_RENAMED = {"levelname": "level", "name": "logger"}
_QUIET = ("asyncio", "httpx", "httpcore", "aiohttp.access", "azure", "kopf", "uvicorn.access", "alembic")
"""Libraries that tell at INFO what our own lines and metrics tell already, some of them with whole URLs."""
_INDISCREET = ("aiosqlite", "msal", "python_multipart", "sqlalchemy", "urllib3")
"""Libraries that tell at DEBUG what is in statements, forms and addresses."""


def log_as_json(level: Level) -> None:
    """Send every log record to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields=_RENAMED,
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        timestamp=True,
    )
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in (*_QUIET, *_INDISCREET):
        logging.getLogger(name).setLevel(logging.WARNING)
