"""What is wrong with an HTTP answer before its content is looked at, for the checks that share the reasons. Pure."""

from __future__ import annotations

from http import HTTPStatus

from ehr_api.conditions import Finding, Type, false, unknown
from ehr_operator.fhir_endpoint.probes import Content, Fetch, Fetched
from ehr_operator.fhir_endpoint.words import shown

_NO_API = "Author: baseURL is not the address of a FHIR API, compare it with what the EHR team gave you"


def not_reached(type_: Type, seen: Fetched) -> Finding:
    """Judge a check whose request was not answered."""
    match seen.fetch:
        case Fetch.UNREACHABLE:
            return false(
                type_,
                "Unreachable",
                f"the server did not answer ({seen.detail}). EHR team: check that it is up; platform team: check that this"
                " cluster may reach it (firewall, proxy, network policy)",
            )
        case Fetch.TOO_LARGE:
            return false(type_, "AnswerTooLarge", f"{seen.detail}, and was left there. {_NO_API}")
        case Fetch.COMPRESSED:
            return false(
                type_,
                "AnswerCompressed",
                f"{seen.detail}, and was not unpacked: it could be of any size. EHR team: send answers uncompressed to a"
                " client that sends 'Accept-Encoding: identity'",
            )
        case _:
            return unknown(type_, "NotReached", "could not be looked at, since an earlier check failed")


def answer_problem(seen: Fetched, path: str) -> tuple[str, str] | None:
    """Return reason and message of what is wrong with an answer, if anything is."""
    status = seen.status or 0
    if status != HTTPStatus.OK:
        return _status_problem(seen, status, path)
    if seen.document is None:
        return _content_problem(seen, path)
    return None


def _status_problem(seen: Fetched, status: int, path: str) -> tuple[str, str]:
    if 300 <= status < 400:  # noqa: PLR2004 (RFC 9110: redirection)
        where = f" to '{shown(seen.redirect_host)}'" if seen.redirect_host else ""
        return (
            "Redirected",
            (
                f"{path} redirects{where} (status {status}), perhaps to a sign-in page; redirects are not followed. Author: give"
                " the address of the API itself"
            ),
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            "SignInDemanded",
            (
                f"{path} asks for a sign-in (status 401), where FHIR servers ask for none. {_NO_API}; EHR team: let {path} be"
                " read without one"
            ),
        )
    if status == HTTPStatus.FORBIDDEN:
        return (
            "TenantRefused",
            (
                "the server refuses the tenant (status 403). Author: compare the tenant id in baseURL with what the EHR team"
                " gave you; EHR team: enable the app for the tenant"
            ),
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return (
            "NotFound",
            f"{path} does not exist (status {status}). Author: baseURL must end where the FHIR API begins, before /metadata",
        )
    return (
        "ServerError",
        f"{path} answered with status {status}. EHR team, if it stays: find out why",
    )


def _content_problem(seen: Fetched, path: str) -> tuple[str, str]:
    stated = shown(seen.media_type or "no media type")
    match seen.content:
        case Content.HTML:
            return (
                "HtmlPage",
                f"{path} answered with a web page ({stated}), perhaps a sign-in or an error page. {_NO_API}",
            )
        case Content.BROKEN_JSON:
            return (
                "BrokenJson",
                (
                    f"{path} answered with JSON ({stated}) that is cut off or badly made. EHR team: look at what stands between"
                    " the server and us, for example a proxy that cuts answers"
                ),
            )
        case Content.NOT_UTF8:
            charset = f"charset {seen.charset}" if seen.charset else "no charset stated"
            return (
                "WrongCharset",
                (
                    f"{path} answered with text that is not UTF-8 ({stated}, {charset}), which FHIR prescribes. EHR team: send"
                    " UTF-8"
                ),
            )
        case Content.EMPTY:
            return "NotJson", f"{path} answered with nothing ({stated}). {_NO_API}"
        case Content.OTHER_JSON:
            return "NotJson", f"{path} answered with JSON ({stated}) that is not an object. {_NO_API}"
        case _:
            return "NotJson", f"{path} answered with {stated} that is not JSON. {_NO_API}"
