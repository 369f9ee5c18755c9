"""The PowerChart-like page: sign in, patient list, and the app in a frame with a launch of its own."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from contract.cerner_stand_in.running import OTHER_TENANT, TENANT, UNKNOWN_TENANT, CernerStandIn, Clock, Starter

CLINICIAN = "4122600"
OFFER = {
    "name": "Video visit",
    "launchUrl": "https://connector.example/launch/provider?a=b",
    "parameters": {"record": "r 1"},
}
LIST = f"/powerchart/{TENANT}/{CLINICIAN}"


async def offer(cerner: CernerStandIn, *offers: dict[str, Any]) -> None:
    await cerner.control("PUT", "powerchart", list(offers or (OFFER,)))


async def open_chart(cerner: CernerStandIn, app: str = "Video visit", **changes: Any) -> tuple[str, str]:
    """Open the chart of a new visit, and return the page and the address of its frame."""
    appointment = await cerner.book(**changes)
    page = (await cerner.http.get(f"{LIST}/{appointment}", params={"app": app})).text
    frame = re.search(r'<iframe [^>]*src="([^"]+)"', page)
    assert frame is not None
    return page, unescape(frame[1])


def launch_in(frame: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(frame).query))


async def test_every_page_says_that_it_is_a_stand_in(cerner: CernerStandIn) -> None:
    await offer(cerner)
    appointment = await cerner.book()
    for path in ("/powerchart", LIST, f"{LIST}/{appointment}?app=Video+visit", f"{LIST}/1"):
        page = await cerner.http.get(path)
        assert "This is a stand-in for tests" in page.text
        assert page.headers["content-type"].startswith("text/html")


async def test_a_clinician_is_chosen_and_sees_the_patient_list(cerner: CernerStandIn) -> None:
    choice = (await cerner.http.get("/powerchart")).text
    answer = await cerner.http.get("/powerchart/sign-in", params={"clinician": f"{TENANT}/{CLINICIAN}"})

    assert f'value="{TENANT}/{CLINICIAN}"' in choice
    assert f'value="{OTHER_TENANT}/{CLINICIAN}"' in choice
    assert (answer.status_code, answer.headers["location"]) == (303, LIST)


async def test_the_list_shows_the_days_video_visits_of_the_clinician(cerner: CernerStandIn) -> None:
    patient = {"tenant": TENANT, "given": "Zoe & Co", "family": "Listed", "birthDate": "1950-02-03"}
    listed = (await cerner.control("POST", "patients", patient, 201))["id"]
    await offer(cerner)
    for changes in (
        {},
        {"service": "Office Visit"},
        {"practitioner": "4122601"},
        {"start": "2026-11-19T15:00:00Z"},
        {"status": "proposed"},
    ):
        await cerner.book(patient=listed, **changes)
    page = (await cerner.http.get(LIST)).text

    assert page.count('<th scope="row">Listed, Zoe &amp; Co</th>') == 1
    assert "<td>09:00</td>" in page
    assert "1950-02-03" in page
    assert "Wednesday, November 18, 2026" in page


async def test_the_day_is_that_of_the_clinics(cerner: CernerStandIn, clock: Clock) -> None:
    clock.advance(hours=17)
    page = (await cerner.http.get(LIST)).text

    assert "Wednesday, November 18, 2026" in page


async def test_the_frame_opens_the_launch_url_with_its_parameters_issuer_and_launch(cerner: CernerStandIn) -> None:
    await offer(cerner)
    _, frame = await open_chart(cerner)
    parameters = launch_in(frame)

    assert frame.startswith("https://connector.example/launch/provider?")
    assert parameters.pop("launch")
    assert parameters == {"a": "b", "record": "r 1", "iss": f"{cerner.url}/r4/{TENANT}"}


async def test_the_launch_of_the_frame_names_patient_encounter_and_clinician(cerner: CernerStandIn) -> None:
    await offer(cerner)
    app = {"id": "app", "redirectUris": ["https://connector.example/cb"]}
    await cerner.control("PUT", "clients", [app])
    smart = (await cerner.http.get(f"/r4/{TENANT}/.well-known/smart-configuration")).json()
    _, frame = await open_chart(cerner, patient="12724009")
    question = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": "https://connector.example/cb",
        "scope": "launch openid fhirUser",
        "state": "s",
        "aud": f"{cerner.url}/r4/{TENANT}",
        "launch": launch_in(frame)["launch"],
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    answer = await cerner.http.get(smart["authorization_endpoint"], params=question)
    form = {
        "grant_type": "authorization_code",
        "code": launch_in(answer.headers["location"])["code"],
        "redirect_uri": "https://connector.example/cb",
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "client_id": "app",
    }
    tokens = (await cerner.http.post(smart["token_endpoint"], data=form)).json()
    encounter = (await cerner.get(f"Encounter/{tokens['encounter']}")).json()

    assert tokens["patient"] == "12724009"
    assert encounter["subject"]["reference"] == "Patient/12724009"
    assert encounter["participant"][0]["individual"]["reference"] == f"Practitioner/{CLINICIAN}"


@pytest.mark.parametrize("needed", [True, False])
async def test_the_page_shows_the_patient_where_the_app_need_not(cerner: CernerStandIn, needed: bool) -> None:
    await offer(cerner, OFFER | {"needPatientBanner": needed})
    page, _ = await open_chart(cerner)

    assert ('class="banner"' in page) is not needed


async def test_the_frame_gets_no_help(cerner: CernerStandIn) -> None:
    await offer(cerner)
    page, _ = await open_chart(cerner)

    assert "<script" not in page
    assert re.search(r"<iframe [^>]*(allow|sandbox)", page) is None


async def test_each_opening_is_a_launch_of_its_own(cerner: CernerStandIn) -> None:
    await offer(cerner)
    first, second = [launch_in((await open_chart(cerner))[1])["launch"] for _ in range(2)]

    assert first != second


async def test_an_offer_may_be_for_one_tenant(cerner: CernerStandIn) -> None:
    await offer(cerner, OFFER | {"tenant": OTHER_TENANT})
    appointment = await cerner.book()
    here = await cerner.http.get(f"{LIST}/{appointment}", params={"app": "Video visit"})

    assert here.status_code == 404
    assert "No app is set up to open" in (await cerner.http.get(LIST)).text


async def test_what_is_offered_is_shown_and_checked(start_cerner: Starter) -> None:
    cerner = await start_cerner(launch_urls=(("From the start", "https://connector.example/launch"),))
    before = await cerner.control("GET", "powerchart")
    wrong = await cerner.http.put("/_sandbox/powerchart", json=[{"name": "x", "launchUrl": "javascript:1"}])

    assert before == [
        {
            "name": "From the start",
            "launchUrl": "https://connector.example/launch",
            "parameters": {},
            "needPatientBanner": False,
            "tenant": None,
        }
    ]
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        f"/powerchart/{UNKNOWN_TENANT}/{CLINICIAN}",
        f"/powerchart/{TENANT}/1",
        f"/powerchart/sign-in?clinician={TENANT}/1",
        "/powerchart/sign-in",
        f"{LIST}/1?app=Video+visit",
        f"{LIST}/4817000?app=Other",
    ],
)
async def test_what_is_not_there_has_a_page_that_says_so(cerner: CernerStandIn, path: str) -> None:
    await offer(cerner)
    answer: httpx.Response = await cerner.http.get(path)

    assert answer.status_code == 404
    assert "There is no such clinician, visit or app here" in answer.text


async def test_where_every_tenant_exists_one_is_named(start_cerner: Starter) -> None:
    cerner = await start_cerner(tenants=frozenset(), any_tenant=True)

    assert "Every tenant exists here" in (await cerner.http.get("/powerchart")).text
    assert f'value="{TENANT}/{CLINICIAN}"' in (await cerner.http.get("/powerchart", params={"tenant": TENANT})).text
