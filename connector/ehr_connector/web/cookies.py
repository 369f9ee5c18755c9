"""Cookies: host-only, for TLS alone, out of reach of scripts.

A page inside the EHR is in another site's frame: its cookie is `SameSite=None; Partitioned`, so that it works there and
is another one in every other site's frame. Source: RFC 6265bis (prefix `__Host-`); CHIPS.
"""

from __future__ import annotations

import re
import secrets

from starlette.requests import Request
from starlette.responses import Response

BROWSER = "__Host-ehr-browser"
"""A random value that binds what is begun in a browser to that browser; it says nothing."""
_BYTES = 24
_GIVEN = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
"""What `new_browser` gives. It is sent back as it came, so nothing else is let into the headers of an answer."""


def browser_of(request: Request) -> str | None:
    """Return the value that was given to this browser, in this site's frame."""
    value = request.cookies.get(BROWSER, "")
    return value if _GIVEN.fullmatch(value) else None


def new_browser() -> str:
    """Return a value for a browser that has none."""
    return secrets.token_urlsafe(_BYTES)


def set_framed(response: Response, name: str, value: str) -> None:
    """Set a cookie of a page that may be framed; it goes with the browser session."""
    response.headers.append("Set-Cookie", f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned")


def set_top_level(response: Response, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie of a page in a window of its own; it comes back from another site's redirect."""
    response.headers.append(
        "Set-Cookie", f"{name}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Lax"
    )


def clear(response: Response, name: str) -> None:
    """Take a cookie of a top-level page away."""
    response.headers.append("Set-Cookie", f"{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
