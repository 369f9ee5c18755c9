"""The digest of a meeting's address, by which a call record finds its visit. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qsl, unquote, urlsplit


def meeting_digest_of(join_web_url: str) -> str:
    """Return the digest of what an address says, however it is escaped and from whatever host of Microsoft's.

    The address holds a random key, so that its digest leads to nobody who does not know it.
    """
    parts = urlsplit(join_web_url)
    query = sorted(pair for pair in parse_qsl(parts.query) if pair[0] != "anon")
    said = "\n".join((unquote(parts.path), *(f"{name}={value}" for name, value in query)))
    return urlsafe_b64encode(sha256(said.encode()).digest()).rstrip(b"=").decode()
