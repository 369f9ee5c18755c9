"""Why a button of the board did not do what it says: each reason with its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from ehr_connector.clinician.charts import BoardError, BoardReason
from ehr_connector.directory import Site
from ehr_connector.launch.problems import WORDS, LaunchReason, Words
from ehr_connector.launch.sealed import ExpiredError, OtherBrowserError, SealedError
from ehr_connector.teams.refusals import TeamsError
from ehr_connector.web.locales import N_
from ehr_connector.web.pages import Pages

_YOU = N_("For you.")
_PLATFORM = N_("For the platform team of your organization.")

_WORDS = {
    BoardReason.NOT_SERVED: Words(
        HTTPStatus.FORBIDDEN,
        N_("Visits are not active at this endpoint"),
        N_("The endpoint was suspended, removed, or is not validated any more."),
        N_("`kubectl get ehr` says what is missing. Until then, call the patient by phone."),
        _PLATFORM,
    ),
    BoardReason.EHR_UNAVAILABLE: Words(
        HTTPStatus.BAD_GATEWAY,
        N_("The EHR does not answer"),
        N_("The EHR's FHIR server gave no usable answer just now."),
        N_("Reload this page in a minute. Until then, call the patient by phone."),
        _YOU,
    ),
    BoardReason.NO_SUCH_VISIT: Words(
        HTTPStatus.NOT_FOUND,
        N_("This patient has no such visit any more"),
        N_("It was cancelled, or it is another patient's."),
        N_("Open the visit from the patient's chart again."),
        _YOU,
    ),
    BoardReason.NOT_OPEN: Words(
        HTTPStatus.CONFLICT,
        N_("This visit is over"),
        N_("It was cancelled, or its time has passed."),
        N_("Book another video visit in the EHR."),
        _YOU,
    ),
    BoardReason.NO_ACCOUNT: Words(
        HTTPStatus.FORBIDDEN,
        N_("Sign in to Microsoft first"),
        N_("Video visits take place in Microsoft Teams, and your account is not known here yet."),
        N_("Reload the page in the EHR and sign in once."),
        _YOU,
    ),
    BoardReason.TOO_OFTEN: Words(
        HTTPStatus.TOO_MANY_REQUESTS,
        N_("That was too often"),
        N_("This was done many times in a short while."),
        N_("Wait %(minutes)s minutes and try again."),
        _YOU,
    ),
    BoardReason.TOO_MANY_LINKS: Words(
        HTTPStatus.CONFLICT,
        N_("This visit has as many links as it may have"),
        N_("Links that were revoked count too."),
        N_("Give one of the links to several people, or book another visit."),
        _YOU,
    ),
}


_SEALED_REASONS: Mapping[type[SealedError], LaunchReason] = {
    ExpiredError: LaunchReason.EXPIRED_SESSION,
    OtherBrowserError: LaunchReason.OTHER_BROWSER,
}


def sealed_page(pages: Pages, request: Request, error: SealedError, site: Site | None) -> Response:
    """Return the page for a session that opens nothing."""
    words = WORDS[_SEALED_REASONS.get(type(error), LaunchReason.INVALID_STATE)]
    return _page(pages, request, words, {}, site)


def board_page(pages: Pages, request: Request, error: BoardError, site: Site | None) -> Response:
    """Return the page for a board's refusal."""
    return _page(pages, request, _WORDS[error.reason], error.values, site)


def teams_page(pages: Pages, request: Request, error: TeamsError, site: Site | None) -> Response:
    """Return the page for a meeting that is not to be had; it offers the phone."""
    return pages.error(
        request,
        title=N_("Teams gives no meeting just now"),
        text=N_("Microsoft Teams did not open the meeting of this visit (%(reason)s)."),
        remedy=N_("Try again in a minute. Until then, call the patient by phone."),
        audience=N_("Platform team: the condition GraphAuthorized says what to do."),
        status=HTTPStatus.BAD_GATEWAY,
        values={"reason": str(error.reason)},
        help_phone=_help_phone(site),
        frame_ancestors=ancestors(site),
        path="/launch/provider",
    )


def ancestors(site: Site | None) -> Sequence[str]:
    """Return the origins that may embed a site's pages."""
    visits = site.organization.visits if site else None
    return visits.frame_ancestors if visits else ()


def _help_phone(site: Site | None) -> str | None:
    visits = site.organization.visits if site else None
    return visits.help_phone if visits else None


def _page(pages: Pages, request: Request, words: Words, values: Mapping[str, str], site: Site | None) -> Response:
    return pages.error(
        request,
        title=words.title,
        text=words.text,
        remedy=words.remedy,
        audience=words.audience,
        status=words.status,
        values=values,
        help_phone=_help_phone(site),
        frame_ancestors=ancestors(site),
        path="/launch/provider",
    )
