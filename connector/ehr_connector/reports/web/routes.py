"""The reports' pages below `/reports/`: which organisation, and for each its consumption, call quality, messages and audit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.reports.charts import audit, messages, quality, visits
from ehr_connector.reports.charts.blocks import Drawing
from ehr_connector.reports.ports import ReportQueries, ReportRole
from ehr_connector.reports.quality.ports import QualityQueries
from ehr_connector.reports.web.access import ORGANIZATION, PREFIX, AccessError, Admitted, Refusal, ReportsAccess
from ehr_connector.reports.web.api import ORGANIZATION as API_ORGANIZATION
from ehr_connector.reports.web.downloads import Form
from ehr_connector.reports.web.filters import Chosen, chosen, department_names, filter_view, usual_environment, zone_of
from ehr_connector.reports.web.sign_in import HOME, no_role_page, organization_path, sign_in_path
from ehr_connector.reports.web.views import (
    Block,
    ChooserView,
    Figure,
    Link,
    ReportView,
    Written,
)
from ehr_connector.web.locales import N_, Language
from ehr_connector.web.pages import Pages, refusal
from ehr_connector.web.sealed_cookie import form_token
from ehr_connector.web.views import vars_of


@dataclass(frozen=True, slots=True)
class Content:
    """What a page has of its own."""

    figures: Sequence[Figure]
    blocks: Sequence[Block]
    total: int
    empty: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Page:
    """One of the pages."""

    path: str
    title: str
    rows: str
    """What the API calls the rows behind it."""
    role: ReportRole = ReportRole.VIEWER
    with_places: bool = True
    """Whether departments, endpoints and environments can be chosen."""


CONSUMPTION = _Page("consumption", N_("Visits"), "visits")
QUALITY = _Page("call-quality", N_("Call quality"), "call-quality")
MESSAGES = _Page("messages", N_("Messages"), "messages")
AUDIT = _Page("audit", N_("Audit"), "audit", ReportRole.AUDITOR, with_places=False)
_PAGES = (CONSUMPTION, QUALITY, MESSAGES, AUDIT)
_ROLE_NAMES = {ReportRole.VIEWER: "Reports.Viewer", ReportRole.AUDITOR: "Reports.Auditor"}


@dataclass(frozen=True, slots=True)
class ReportPages:
    """The handlers."""

    access: ReportsAccess
    queries: ReportQueries
    quality: QualityQueries
    directory: Directory
    secret: SecretKeys
    pages: Pages
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route(PREFIX, self._to_home, methods=["GET"])
        router.add_api_route(HOME, self.home, methods=["GET"])
        router.add_api_route(f"{PREFIX}{ORGANIZATION}", self._to_first, methods=["GET"])
        contents = {
            CONSUMPTION: self._consumption,
            QUALITY: self._quality,
            MESSAGES: self._messages,
            AUDIT: self._audit,
        }
        for page, content in contents.items():
            router.add_api_route(
                f"{PREFIX}{ORGANIZATION}/{page.path}", self._handler(page, content), methods=["GET"], name=page.path
            )
        return router

    async def home(self, request: Request) -> Response:
        """Show whose reports there are, or go there when there is no choice."""
        try:
            session = await self.access.session(request)
            links = [Link(organization_path(one), one.display_name) for one in await self.access.organizations(session)]
        except AccessError:
            links = []
        if not links:
            host = request.headers.get("host", "")
            here = [one for one in await self.directory.organizations() if one.public_url.partition("://")[2] == host]
            links = [Link(sign_in_path(one), one.display_name) for one in here]
        if not links:
            return refusal(self.pages, request, HTTPStatus.NOT_FOUND)
        if len(links) == 1:
            return RedirectResponse(links[0].url, HTTPStatus.SEE_OTHER)
        view = ChooserView(sorted(links, key=lambda link: link.text))
        return self.pages.render(request, view.TEMPLATE, vars_of(view))

    async def _to_home(self) -> Response:
        return RedirectResponse(HOME, HTTPStatus.SEE_OTHER)

    async def _to_first(self, namespace: str, name: str) -> Response:
        return RedirectResponse(f"{PREFIX}/organizations/{namespace}/{name}/{CONSUMPTION.path}", HTTPStatus.SEE_OTHER)

    def _handler(
        self, page: _Page, content: Callable[[Admitted, Drawing, str], Awaitable[Content]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            try:
                admitted = await self.access.admitted(request, page.role)
            except AccessError as exc:
                return await self._refused(request, page, exc.refusal)
            return await self._shown(request, page, admitted, content)

        return handler

    async def _shown(
        self,
        request: Request,
        page: _Page,
        admitted: Admitted,
        content: Callable[[Admitted, Drawing, str], Awaitable[Content]],
    ) -> Response:
        organization = admitted.organization
        zone = zone_of(organization)
        now = self.now().astimezone(ZoneInfo(zone))
        language = self.pages.language(request)
        has = chosen(request.query_params, now.date(), usual_environment(organization))
        if not page.with_places:
            has = replace(has, department="", endpoint="", environment="", usual="")
        choices = await self.queries.choices(admitted.reader)
        names = department_names(organization)
        told = await content(admitted, Drawing(has, language), zone)
        several = len(await self.access.organizations(admitted.session)) > 1
        view = ReportView(
            organization_name=organization.display_name,
            title=language.text(page.title),
            navigation=self._navigation(page, admitted, has, now.date(), language),
            username=admitted.session.username,
            csrf=form_token(self.secret, self.access.browser(request)),
            filters=filter_view(has, choices, names, now.date(), language, with_places=page.with_places),
            figures=told.figures,
            blocks=told.blocks if told.total else (),
            downloads=_downloads(page, admitted, has),
            empty=() if told.total else [language.text(words) for words in told.empty],
            note=language.text(
                N_("As of %(moment)s (%(zone)s). Names and contact data are nowhere in these reports."),
                moment=Written(language).moment(now),
                zone=zone,
            ),
            organizations_url=HOME if several else None,
        )
        return self.pages.render(request, view.TEMPLATE, vars_of(view))

    async def _consumption(self, admitted: Admitted, drawing: Drawing, zone: str) -> Content:
        summary = await self.queries.visit_summary(admitted.reader, drawing.chosen.filters(zone))
        names = department_names(admitted.organization)
        blocks = await asyncio.to_thread(visits.blocks, summary, names, drawing)
        return Content(visits.figures(summary, drawing), blocks, summary.total, visits.EMPTY)

    async def _quality(self, admitted: Admitted, drawing: Drawing, zone: str) -> Content:
        summary = await self.quality.quality_summary(admitted.reader, drawing.chosen.filters(zone))
        names = department_names(admitted.organization)
        reports = admitted.organization.reports
        dimensions = reports.dimensions if reports else ()
        blocks = await asyncio.to_thread(quality.blocks, summary, names, dimensions, drawing)
        return Content(quality.figures(summary, drawing), blocks, summary.calls.total, quality.EMPTY)

    async def _messages(self, admitted: Admitted, drawing: Drawing, zone: str) -> Content:
        summary = await self.queries.message_summary(admitted.reader, drawing.chosen.filters(zone))
        blocks = await asyncio.to_thread(messages.blocks, summary, drawing)
        return Content(messages.figures(summary, drawing), blocks, summary.total, messages.EMPTY)

    async def _audit(self, admitted: Admitted, drawing: Drawing, zone: str) -> Content:
        filters = drawing.chosen.filters(zone)
        newest = audit.SHOWN
        told = await self.queries.audit_summary(admitted.reader, filters.start, filters.end, newest)
        blocks = await asyncio.to_thread(audit.blocks, told, drawing, zone)
        return Content(audit.figures(told, drawing), blocks, told.total, audit.EMPTY)

    def _navigation(
        self, page: _Page, admitted: Admitted, has: Chosen, today: date, language: Language
    ) -> Sequence[Link]:
        kept = "" if has == chosen({}, today, has.usual) else f"?{has.query()}"
        return [
            Link(organization_path(admitted.organization, one.path) + kept, language.text(one.title), one is page)
            for one in _PAGES
            if one.role in admitted.reader.roles
        ]

    async def _refused(self, request: Request, page: _Page, why: Refusal) -> Response:
        names = request.path_params
        organization = await self.directory.organization(str(names["namespace"]), str(names["name"]))
        if organization is None or why is Refusal.NO_SUCH_ORGANIZATION:
            return refusal(self.pages, request, HTTPStatus.NOT_FOUND)
        again = sign_in_path(organization, page.path)
        if why is Refusal.SIGNED_OUT:
            return RedirectResponse(again, HTTPStatus.SEE_OTHER)
        return no_role_page(self.pages, request, _ROLE_NAMES[page.role], again)


def _downloads(page: _Page, admitted: Admitted, has: Chosen) -> Sequence[Link]:
    reader = admitted.reader
    below = API_ORGANIZATION.format(namespace=reader.namespace, name=reader.name)
    return [Link(f"{below}/{page.rows}.{form}?{has.query()}", form.name) for form in Form]
