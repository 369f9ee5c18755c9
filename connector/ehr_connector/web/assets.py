"""Style sheets and scripts of the pages: from our own origin, under an address that changes with the content."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

FOLDER = Path(__file__).parents[1] / "static"
PATH = "/static/"
_DIGEST_LENGTH = 16
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    media_type: str
    digest: str


class Assets:
    """The files of `static/`, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.is_file()}

    def url(self, name: str) -> str:
        """Return the address of a file.

        Raises:
            KeyError: There is no such file.
        """
        return f"{PATH}{self._assets[name].digest}/{name}"

    def router(self) -> APIRouter:
        """Return the route that serves them."""
        router = APIRouter()
        router.add_api_route(PATH + "{digest}/{name}", self._serve, methods=["GET", "HEAD"])
        return router

    async def _serve(self, digest: str, name: str) -> Response:
        asset = self._assets.get(name)
        if asset is None:
            raise HTTPException(404)
        # During an upgrade a page of one version may ask a replica of the other: better its file than none, but not kept.
        caching = _FOR_EVER if digest == asset.digest else "no-store"
        return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": caching})


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    media_type, _ = mimetypes.guess_type(path.name)
    return _Asset(content, media_type or "application/octet-stream", sha256(content).hexdigest()[:_DIGEST_LENGTH])
