"""Everything that a person sees in a browser: templates, their language, and the headers that keep a page to itself."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import phonenumbers
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from ehr_connector.web.assets import Assets
from ehr_connector.web.correlation import correlation_id
from ehr_connector.web.locales import N_, Language, Locales
from ehr_connector.web.problems import failure

_log = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "templates"
_DEVICES = "camera=(self), microphone=(self), speaker-selection=(self)"
_NO_DEVICES = "camera=(), microphone=(), speaker-selection=()"
_FRAMED = ("/launch/", "/clinician/")
"""Where pages stand in the EHR's frame."""
_BARE = re.compile(r"\+\d{5,15}")
_NEVER = "geolocation=(), payment=(), usb=(), browsing-topics=()"


class Pages:
    """Renders the templates."""

    def __init__(self, locales: Locales, assets: Assets, folder: Path = FOLDER) -> None:
        self.locales = locales
        self._assets = assets
        self._templates = Environment(
            loader=FileSystemLoader(folder),
            auto_reload=False,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def language(self, request: Request, locale: str | None = None) -> Language:
        """Return the language of the answer: `locale` (a tag), or `?lang=`, or the browser's."""
        chosen = locale or request.query_params.get("lang")
        return self.locales.choose(chosen, request.headers.get("accept-language"))

    def render(
        self,
        request: Request,
        name: str,
        context: Mapping[str, object],
        *,
        status: int = 200,
        locale: str | None = None,
        frame_ancestors: Sequence[str] = (),
        form_targets: Sequence[str] = (),
        devices: bool = False,
        path: str | None = None,
    ) -> HTMLResponse:
        """Return a page.

        Args:
            request: What is answered; it chooses the language.
            name: File name of the template.
            context: What the template shows. Every page also has `language`, `languages` and `correlation_id`.
            status: HTTP status.
            locale: Tag of a language that goes before the browser's choice.
            frame_ancestors: Origins that may embed the page; none by default.
            form_targets: Origins to which a form of the page may lead, also by a redirect.
            devices: Whether the page may use camera and microphone.
            path: Where the page can be had again, for the language chooser; the request's own path by default.
        """
        language = self.language(request, locale)
        asked = request.query_params.get("lang")
        common = {
            "_": language.text,
            "asset": self._assets.url,
            "tel": phone_url,
            "phone": phone_text,
            "language": language,
            "languages": self._choices(request, path),
            "lang_query": f"?lang={language.tag}" if asked == language.tag else "",
            "correlation_id": correlation_id.get(),
        }
        content = self._templates.get_template(name).render({**common, **context})
        headers = {
            "Content-Language": language.tag,
            "Content-Security-Policy": content_security_policy(frame_ancestors, form_targets),
            "Permissions-Policy": f"{_DEVICES if devices else _NO_DEVICES}, {_NEVER}",
            "Vary": "Accept-Language",
        }
        return HTMLResponse(content, status, headers)

    def error(
        self,
        request: Request,
        *,
        title: str,
        text: str,
        remedy: str,
        status: int,
        audience: str | None = None,
        help_phone: str | None = None,
        values: Mapping[str, object] | None = None,
        retry_url: str | None = None,
        retry_text: str = N_("Try again"),
        locale: str | None = None,
        frame_ancestors: Sequence[str] = (),
        path: str | None = None,
    ) -> HTMLResponse:
        """Return the one page for everything that went wrong; it ends with the correlation id.

        Args:
            request: What is answered.
            title: What is wrong, in a few words. This and the next three are msgids (mark them with `N_`).
            text: What is wrong, in a sentence or two.
            remedy: What the reader can do.
            status: HTTP status.
            audience: Who has to act, when it is not the reader.
            help_phone: Whom to call.
            values: What replaces `%(name)s` in the texts.
            retry_url: Where to try again, when that can help.
            retry_text: What the link there says, a msgid.
            locale: See `render`.
            frame_ancestors: See `render`.
            path: See `render`.
        """
        language = self.language(request, locale)
        told = dict(values or {})
        context = {
            "title": language.text(title, **told),
            "text": language.text(text, **told),
            "remedy": language.text(remedy, **told),
            "audience": language.text(audience, **told) if audience else None,
            "help_phone": help_phone,
            "retry_url": retry_url,
            "retry_text": language.text(retry_text),
        }
        return self.render(
            request,
            "error.html",
            context,
            status=status,
            locale=locale,
            frame_ancestors=frame_ancestors,
            path=path,
        )

    def _choices(self, request: Request, path: str | None) -> Sequence[tuple[Language, str]]:
        """Return each language with the address of this page in it; another page's query is not this one's."""
        query = request.query_params.multi_items() if path is None else ()
        kept = [(key, value) for key, value in query if key != "lang"]
        address = path or request.url.path
        return [(one, f"{address}?{urlencode([*kept, ('lang', one.tag)])}") for one in self.locales.languages]


def phone_url(number: str) -> str:
    """Return the address that dials `number`, however it is written."""
    return "tel:" + "".join(sign for sign in number if sign.isdigit() or sign in "+*#")


def phone_text(number: str) -> str:
    """Return `number` as people read it; whoever wrote more than its digits has seen to that."""
    if not _BARE.fullmatch(number):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def content_security_policy(frame_ancestors: Sequence[str] = (), form_targets: Sequence[str] = ()) -> str:
    """Return the policy of a page: our own origin alone, nothing inline, framed by nobody who is not named."""
    return "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "media-src 'self' blob:",
            " ".join(["form-action 'self'", *form_targets]),
            "base-uri 'none'",
            " ".join(["frame-ancestors", *(frame_ancestors or ["'none'"])]),
        ]
    )


def answer_pages(
    app: FastAPI, pages: Pages, prefixes: Sequence[str], embedders: Callable[[], Sequence[str]] = tuple
) -> None:
    """Answer refusals under `prefixes` with a page when a browser asks; everything else as it was answered before.

    To be called after `answer_problems`. Pages of the EHR's frame may stand in those of `embedders`, as of a failure.
    """
    before = {kind: app.exception_handlers[kind] for kind in (HTTPException, RequestValidationError)}

    async def answer(request: Request, exc: Exception) -> Response:
        if _shows_pages(request, prefixes):
            status = exc.status_code if isinstance(exc, HTTPException) else HTTPStatus.BAD_REQUEST
            return refusal(pages, request, status, frame_ancestors=_framers(request, embedders))
        kind = HTTPException if isinstance(exc, HTTPException) else RequestValidationError
        answered = before[kind](request, exc)  # pyright: ignore[reportArgumentType] (Starlette's union has a WebSocket too)
        assert not isinstance(answered, Response)  # noqa: S101 (ours are coroutines)
        result = await answered
        assert result is not None  # noqa: S101 (only a WebSocket's handler returns nothing)
        return result

    for kind in before:
        app.add_exception_handler(kind, answer)


def failure_answers(
    pages: Pages, prefixes: Sequence[str], embedders: Callable[[], Sequence[str]]
) -> Callable[[Request], Response]:
    """Return what answers a request at which we failed: under `prefixes` a page when a browser asks, else a problem.

    A page of the EHR's frame may stand in those of `embedders`, since it is not known any more whose launch it was; it says
    nothing of it.
    """

    def answer(request: Request) -> Response:
        if not _shows_pages(request, prefixes):
            return failure()
        try:
            return refusal(
                pages, request, HTTPStatus.INTERNAL_SERVER_ERROR, frame_ancestors=_framers(request, embedders)
            )
        except Exception:  # noqa: BLE001 (the cause may be the templates; the last answer needs none)
            _log.exception("the page that tells of a failure failed too")
            return failure()

    return answer


def limit_pages(
    pages: Pages, prefixes: Sequence[str], embedders: Callable[[], Sequence[str]] = tuple
) -> Callable[[Request], Response | None]:
    """Return what gives the page for a request that came too often, where a browser asks under `prefixes`."""

    def page(request: Request) -> Response | None:
        if not _shows_pages(request, prefixes):
            return None
        return refusal(pages, request, HTTPStatus.TOO_MANY_REQUESTS, frame_ancestors=_framers(request, embedders))

    return page


def refusal(pages: Pages, request: Request, status: int, *, frame_ancestors: Sequence[str] = ()) -> HTMLResponse:
    """Return the page for a request that no page answers."""
    path = _page_of(request)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return pages.error(
            request,
            title=N_("That was too often"),
            text=N_("Many links that open nothing were tried from your network in the last minute."),
            remedy=N_(
                "Wait a minute, then open the link in your message again. If your visit is about to begin, call the clinic."
            ),
            status=status,
            frame_ancestors=frame_ancestors,
            path=path,
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return pages.error(
            request,
            title=N_("There is no such page"),
            text=N_("The address is not one of ours, or a part of it is missing."),
            remedy=N_("Open the link in your message again, or copy the whole of it into the address bar."),
            status=status,
            frame_ancestors=frame_ancestors,
            path=path,
        )
    return pages.error(
        request,
        title=N_("This did not work"),
        text=N_("The page could not be shown."),
        remedy=N_("Go back and try again. If it happens again, tell your clinic the reference number below."),
        status=status,
        frame_ancestors=frame_ancestors,
        path=path,
    )


def _shows_pages(request: Request, prefixes: Sequence[str]) -> bool:
    return request.url.path.startswith(tuple(prefixes)) and "text/html" in request.headers.get("accept", "")


def _framers(request: Request, embedders: Callable[[], Sequence[str]]) -> Sequence[str]:
    return embedders() if request.url.path.startswith(_FRAMED) else ()


def _page_of(request: Request) -> str:
    """Return where the language chooser leads: a form's own address cannot be opened, the page above it can."""
    path = request.url.path
    return path if request.method in {"GET", "HEAD"} else "/".join(path.split("/")[:3])
