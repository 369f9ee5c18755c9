"""Error answers of the APIs: problem details (RFC 9457) with a correlation id that the log has too."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ehr_api.control import Problem
from ehr_connector.web.correlation import correlation_id

_MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """Ends a request with a problem; `detail` tells a person what is wrong and what to do."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        base_url: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.base_url = base_url
        self.headers = headers


def answer_problems(app: FastAPI) -> None:
    """Make `app` answer every refusal with a problem; for its own failures the middleware does."""
    app.add_exception_handler(ProblemError, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


async def _answer_problem(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ProblemError)  # noqa: S101 (registered for it alone)
    return _answer(exc.status, exc.detail, field=exc.field, base_url=exc.base_url, headers=exc.headers)


async def _answer_http(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 (registered for it alone)
    status = HTTPStatus(exc.status_code)
    return _answer(status, status.description or status.phrase, headers=dict(exc.headers or {}))


async def _answer_invalid(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 (registered for it alone)
    places = sorted({".".join(map(str, error["loc"])) for error in exc.errors()})
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"not valid: {', '.join(places)}", field=places[0])


def failure() -> Response:
    """Return the answer to a request at which we failed; its text tells nothing of the cause."""
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the connector failed; its log has the cause under correlationID")


def _answer(
    status: HTTPStatus,
    detail: str,
    *,
    field: str | None = None,
    base_url: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        field=field,
        base_url=base_url,
        correlation_id=correlation_id.get(),
    )
    return JSONResponse(problem.to_api(), status, headers, media_type=_MEDIA_TYPE)
