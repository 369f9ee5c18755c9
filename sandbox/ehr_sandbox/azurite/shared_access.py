"""Shared access signatures of a storage account.

Source: Azure Storage, "Create an account SAS".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

_VERSION = "2020-12-06"
_LIFE = timedelta(days=30)


def account_signature(account: str, key: str, *, permissions: str = "rwdlacup", now: datetime | None = None) -> str:
    """Return a signature for queues and their messages, as the query of a URL."""
    expires = ((now or datetime.now(UTC)) + _LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
    services, kinds, protocols = "q", "sco", "https,http"
    # The empty lines: start, addresses, encryption scope.
    lines = (account, permissions, services, kinds, "", expires, "", protocols, _VERSION, "")
    to_sign = "".join(f"{line}\n" for line in lines)
    signature = hmac.new(base64.b64decode(key), to_sign.encode(), hashlib.sha256).digest()
    return urlencode(
        {
            "sv": _VERSION,
            "ss": services,
            "srt": kinds,
            "sp": permissions,
            "se": expires,
            "spr": protocols,
            "sig": base64.b64encode(signature).decode(),
        }
    )
