"""Whether a POST comes from a page of ours. Pure."""

from __future__ import annotations

from starlette.requests import Request


def same_origin(request: Request) -> bool:
    """Return whether a browser sent this from a page of the same origin; what is no browser tells nothing and passes.

    `Sec-Fetch-Site` cannot be forged by a page. Browsers before it (Safari until 16.3) send `Origin` with every POST; its
    host is compared alone, since the scheme ends at the ingress.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")
