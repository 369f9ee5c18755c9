"""Whether a POST comes from a page of ours (OWASP, "Cross-Site Request Forgery Prevention": verifying origin)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers


def same_origin(headers: Headers, public_url: str) -> bool:
    """Return whether the browser says that the request was made by our own page.

    `Sec-Fetch-Site` cannot be set by a page; where a browser does not send it, `Origin` must be ours.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None or origin == "null":
        # A form of a page with `Referrer-Policy: no-referrer` posts with the origin null.
        return site == "same-origin"
    ours = urlsplit(public_url)
    return origin == f"{ours.scheme}://{ours.netloc}"
