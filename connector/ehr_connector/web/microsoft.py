"""Pages for a sign-in to Microsoft that did not succeed."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from ehr_connector.web.locales import N_
from ehr_connector.web.pages import Pages

_GAVE_UP = frozenset({"access_denied", "AADSTS65004"})
"""Entra sends its own number with it when it has one."""
_NOT_OURS = frozenset({"tenant", "AADSTS50020", "AADSTS50034"})
"""Another tenant's token, an account of elsewhere, an account that the tenant does not know."""
_AGAIN = N_("Try again")
_PLATFORM = N_("Platform team: the condition GraphAuthorized says what is missing.")


def refused_page(pages: Pages, request: Request, code: str, *, remedy: str, retry_url: str, path: str) -> Response:
    """Return the page for a refusal by Entra ID, by the code of `RefusedError`; `remedy` is a msgid."""
    audience, retry_text = None, _AGAIN
    if code in _GAVE_UP:
        text = N_("The sign-in was cancelled.")
    elif code in _NOT_OURS:
        text, retry_text = N_("The account is not one of your organization."), N_("Use another account")
    else:
        text = N_("Microsoft answered with the error %(code)s.")
        audience = _PLATFORM
    return pages.error(
        request,
        title=N_("Microsoft did not sign you in"),
        text=text,
        remedy=remedy,
        audience=audience,
        status=HTTPStatus.FORBIDDEN,
        values={"code": code[:64]},
        retry_url=retry_url,
        retry_text=retry_text,
        path=path,
    )


def unavailable_page(pages: Pages, request: Request, *, remedy: str, retry_url: str, path: str) -> Response:
    """Return the page for a sign-in that cannot be had now; `remedy` is a msgid."""
    return pages.error(
        request,
        title=N_("Microsoft sign-in is not available"),
        text=N_("Microsoft gave no usable answer, or the connector has no credential for it."),
        remedy=remedy,
        audience=_PLATFORM,
        status=HTTPStatus.BAD_GATEWAY,
        retry_url=retry_url,
        path=path,
    )
