"""Digests: SHA-256 over canonical JSON, so that equal meaning gives equal bytes on every machine."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def digest_of(document: Any) -> str:
    """Return `sha256:` and 64 hex digits of the canonical form of a JSON value.

    Source: RFC 8785 (JSON Canonicalization Scheme).

    Raises:
        rfc8785.CanonicalizationError: The value is not JSON (for example a datetime).
    """
    return "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()
