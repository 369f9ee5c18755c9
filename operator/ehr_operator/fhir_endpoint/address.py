"""Addresses that are URLs and yet look wrong: a slip of the finger is told before somebody searches the network for it. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_OTHER_VERSIONS = {"r2", "r3", "r4b", "r5", "r6", "stu3"}
_FHIR = "fhir"
_BELOW = ("/metadata", "/.well-known/smart-configuration")
_CERNER = ".cerner.com"
_CERNER_PATH = re.compile(r"/r4/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_OTHER_PERSONAS = {
    "fhir-open.cerner.com": "is Oracle's open sandbox, which grants no tokens",
    "fhir-myrecord.cerner.com": "is Oracle's host for patients' own apps, which grants no system access",
}
"""Source: Millennium Platform APIs, "Service Root URL"."""


def suspicion(base_url: str) -> str | None:
    """Return what looks wrong in an https address, if anything does; it may be right all the same."""
    url = urlsplit(base_url)
    host, path = url.hostname or "", url.path.rstrip("/")
    segments = [segment.lower() for segment in path.split("/") if segment]
    typo = next((segment for segment in segments if _looks_like(segment, _FHIR)), None)
    version = next((segment for segment in segments if segment in _OTHER_VERSIONS), None)
    below = next((ending for ending in _BELOW if path.lower().endswith(ending)), None)
    if typo is not None:
        return f"'/{typo}/' looks like a mistyped '/{_FHIR}/'"
    if below is not None:
        return f"it ends in '{below}', which is asked for below the base URL"
    if version is not None:
        return f"'/{version}/' names another FHIR version than R4"
    if host in _OTHER_PERSONAS:
        return f"'{host}' {_OTHER_PERSONAS[host]}"
    if host.endswith(_CERNER) and not _CERNER_PATH.fullmatch(path):
        return "Oracle's addresses end in '/r4/' and the tenant id, a UUID"
    if "//" in path:
        return "it has two slashes in a row"
    return None


def _looks_like(text: str, word: str) -> bool:
    """Return whether one slip (a letter too many, too few, another, or two swapped) makes `text` of `word`."""
    if text == word or abs(len(text) - len(word)) > 1:
        return False
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
    if text in swapped:
        return True
    shorter, longer = sorted((text, word), key=len)
    at = next((at for at, letter in enumerate(shorter) if letter != longer[at]), len(shorter))
    return shorter[at + (len(shorter) == len(longer)) :] == longer[at + 1 :]
