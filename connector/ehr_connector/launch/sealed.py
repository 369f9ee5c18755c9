"""What travels with the browser: sealed by us, bound to the browser in which it was begun, and only for a while."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ehr_connector.keys.secret import SealError, SecretKeys


class Sealed(BaseModel):
    """Content of a sealed text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ends: int = 0
    """When it ends, as seconds of the epoch."""
    browser: str = ""
    """Digest of the browser's cookie."""
    site: str = ""
    """Tag of the FHIR base URL that it is about, hexadecimal; none where what is sealed in it says so."""

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """Show nothing: it may hold ids of the EHR."""
        return []


class SealedError(Exception):
    """The text is not ours, was changed, or is of another kind.

    `site` is the tag of the FHIR base URL in a text that is ours but opens nothing: it says whose page the error is.
    """

    def __init__(self, site: str = "") -> None:
        super().__init__()
        self.site = site


class ExpiredError(SealedError):
    """It was good once."""


class OtherBrowserError(SealedError):
    """It was begun in another browser, or the browser keeps no cookies."""


_Content = TypeVar("_Content", bound=Sealed)


class Sealer(Generic[_Content]):
    """Seals and opens one kind of content."""

    def __init__(
        self,
        secret: SecretKeys,
        model: type[_Content],
        *,
        purpose: str,
        life: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._secret = secret
        self._model = model
        self._purpose = purpose
        self._life = life
        self._now = now

    @property
    def life(self) -> timedelta:
        """How long it holds."""
        return self._life

    def seal(self, content: _Content, browser: str) -> str:
        """Return the text for a browser (the value of its cookie, or what else it is bound to)."""
        ends = int((self._now() + self._life).timestamp())
        bound = content.model_copy(update={"ends": ends, "browser": _digest(browser)})
        return self._secret.seal(self._purpose, bound.model_dump_json(exclude_defaults=True).encode())

    def open(self, text: str, browser: str | None) -> _Content:
        """Return the content.

        Raises:
            ExpiredError: It has ended.
            OtherBrowserError: It belongs to another browser.
            SealedError: It is not ours.
        """
        content = self._read(text)
        if browser is None or not hmac.compare_digest(content.browser, _digest(browser)):
            raise OtherBrowserError(content.site)
        self._check_time(content)
        return content

    def open_elsewhere(self, text: str) -> _Content:
        """Return the content for a window that has not the browser's cookie; the caller has another proof of origin.

        Raises:
            ExpiredError: It has ended.
            SealedError: It is not ours.
        """
        content = self._read(text)
        self._check_time(content)
        return content

    def _read(self, text: str) -> _Content:
        try:
            return self._model.model_validate_json(self._secret.open(self._purpose, text))
        except (SealError, ValidationError) as exc:
            raise SealedError from exc

    def _check_time(self, content: _Content) -> None:
        if self._now().timestamp() >= content.ends:
            raise ExpiredError(content.site)


def _digest(browser: str) -> str:
    return sha256(browser.encode()).hexdigest()[:32]
