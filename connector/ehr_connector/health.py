"""Health, metrics, and the public keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.keys.files import KeysError
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.store.migrate import pending
from ehr_connector.store.organizations import Organizations

_JWKS_CACHE = "public, max-age=300"
"""EHRs may keep our keys this long (seconds); `keys.PUBLISHED_BEFORE_USE` is well above it."""


class OtherKeys(Protocol):
    """Keys without which a part of the connector does not work."""

    @property
    def problem(self) -> str | None:
        """What is wrong with them."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """The handlers of /livez, /readyz, /metrics and /.well-known/jwks.json."""

    engine: AsyncEngine
    organizations: Organizations
    keys: SigningKeys
    other_keys: Sequence[OtherKeys]
    metrics: Metrics

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route("/livez", self.livez, methods=["GET"])
        router.add_api_route("/readyz", self.readyz, methods=["GET"])
        router.add_api_route("/metrics", self.get_metrics, methods=["GET"])
        router.add_api_route("/.well-known/jwks.json", self.jwks, methods=["GET"])
        return router

    async def livez(self) -> Response:
        """Say that the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self) -> Response:
        """Say whether requests can be served, and if not, why."""
        problem = await _problem(self.engine, self.keys)
        if problem is not None:
            return PlainTextResponse(f"{problem}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        problems = [keys.problem for keys in (self.keys, *self.other_keys) if keys.problem is not None]
        return PlainTextResponse(f"ok, but {'; '.join(problems)}\n" if problems else "ok\n")

    async def get_metrics(self) -> Response:
        """Give the metrics in Prometheus' format."""
        try:
            self.metrics.organizations.set(await self.organizations.count())
        except (SQLAlchemyError, OSError):
            self.metrics.organizations.set(
                float("nan")
            )  # /readyz says what is wrong; the other metrics are wanted all the more
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def jwks(self) -> Response:
        """Give the public keys."""
        return JSONResponse(
            self.keys.jwks(), headers={"Cache-Control": _JWKS_CACHE}, media_type="application/jwk-set+json"
        )


async def _problem(engine: AsyncEngine, keys: SigningKeys) -> str | None:
    """Return what keeps the connector from serving."""
    try:
        if await pending(engine):
            return "the database lacks a migration: run `python -m ehr_connector migrate`"
        keys.signing_key()
    except (SQLAlchemyError, OSError) as exc:
        return f"the database does not answer ({type(exc).__name__})"
    except KeysError as exc:
        return str(exc)
    return None
