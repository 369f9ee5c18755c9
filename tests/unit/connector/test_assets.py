from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from ehr_connector.web.assets import Assets


def served(assets: Assets) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(assets.router())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://clinic.example")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "style.css").write_text("body { color: black }")
    return tmp_path


async def test_an_asset_is_kept_for_ever_under_the_address_of_its_content(folder: Path) -> None:
    assets = Assets(folder)

    async with served(assets) as http:
        answer = await http.get(assets.url("style.css"))

    assert answer.status_code == 200
    assert answer.text == "body { color: black }"
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


def test_a_changed_asset_has_another_address(folder: Path) -> None:
    before = Assets(folder).url("style.css")

    (folder / "style.css").write_text("body { color: white }")

    assert Assets(folder).url("style.css") != before


async def test_the_address_of_another_version_is_answered_and_not_kept(folder: Path) -> None:
    async with served(Assets(folder)) as http:
        answer = await http.get("/static/0000000000000000/style.css")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["other.css", "..%2fsettings.py", "%2e%2e/settings.py"])
async def test_nothing_but_the_assets_is_served(folder: Path, name: str) -> None:
    async with served(Assets(folder)) as http:
        answer = await http.get(f"/static/0/{name}")

    assert answer.status_code == 404


def test_our_own_assets_name_no_other_origin() -> None:
    from ehr_connector.web.assets import FOLDER  # noqa: PLC0415 (the only test that reads the real folder)

    named = [
        path.name for path in FOLDER.iterdir() for word in ("http://", "https://", "//cdn") if word in path.read_text()
    ]

    assert [name for name in named if name != "icon.svg"] == []
