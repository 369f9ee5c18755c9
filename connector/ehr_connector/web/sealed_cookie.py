"""What a window of its own keeps: sealed content in a cookie, with a random value beside it that forms are bound to."""

from __future__ import annotations

import hmac
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.sealed import Sealed, Sealer
from ehr_connector.web import cookies
from ehr_connector.web.origin import same_origin

_Content = TypeVar("_Content", bound=Sealed)


class SealedCookie(Generic[_Content]):
    """One kind of content under one name."""

    def __init__(self, name: str, sealer: Sealer[_Content]) -> None:
        self._name = name
        self._sealer = sealer

    def keep(self, response: Response, content: _Content, browser: str) -> None:
        """Set the cookie; it ends when its content does."""
        value = f"{browser}.{self._sealer.seal(content, browser)}"
        cookies.set_top_level(response, self._name, value, max_age_s=int(self._sealer.life.total_seconds()))

    def open(self, request: Request) -> tuple[str, _Content]:
        """Return the random value and the content.

        Raises:
            SealedError: There is no such cookie, or it opens nothing (any more).
        """
        browser, _, text = request.cookies.get(self._name, "").partition(".")
        return browser, self._sealer.open(text, browser)

    def clear(self, response: Response) -> None:
        """Take the cookie away."""
        cookies.clear(response, self._name)


def form_token(secret: SecretKeys, browser: str) -> str:
    """Return what a form carries to show that it stood in a page of ours, in this browser."""
    return secret.name("csrf", browser)


def is_form_of_ours(request: Request, secret: SecretKeys, browser: str, token: str) -> bool:
    """Return whether a POST comes from a page of ours in this browser."""
    return same_origin(request) and hmac.compare_digest(token.encode(), form_token(secret, browser).encode())
