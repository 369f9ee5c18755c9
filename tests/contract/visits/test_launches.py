"""Launches that end: each with a page that says what is wrong, for whom and what to do, and with nothing begun."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from contract.visits.launching import EHR_ADMIN, PLATFORM, YOU, Hospital, ends
from contract.visits.world import OTHER_TENANT, SPREAD_S, TENANT

from ehr_clients.smart import SmartConfiguration
from ehr_connector.directory import Site
from ehr_connector.ehr.access import EhrAccess

pytestmark = pytest.mark.asyncio(loop_scope="module")


# -- The beginning


async def test_a_good_launch_reaches_a_session(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch(await hospital.code())
    assert page.status_code == 200
    assert "/clinician/" in str(page.url)


@pytest.mark.parametrize(
    "iss",
    [
        "https://fhir.example/r4/unknown",
        "http://169.254.169.254/latest/meta-data",
        "https://localhost:1/r4",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://[",
        "",
        "not a URL",
        "https://user:password@fhir.example/r4",
        "https://fhir.example/r4\r\nSet-Cookie: a=b",
    ],
)
async def test_an_unknown_issuer_ends_the_launch(hospital: Hospital, iss: str) -> None:
    answer = await hospital.world.browser().http.get(
        f"{hospital.world.connector}/launch/provider", params={"iss": iss, "launch": "code"}
    )
    await ends(hospital.world, answer, 403, "This EHR is not set up here", PLATFORM, "FhirEndpoint")
    assert "Set-Cookie" not in answer.headers


async def test_an_unknown_issuer_is_named_on_a_page_in_the_frame_of_the_record_from_which_the_launch_comes(
    hospital: Hospital,
) -> None:
    page = await hospital.world.browser().launch(
        "code", iss="https://fhir.example/r4/unknown", record="lamna/lamna-test-provider"
    )
    await ends(
        hospital.world, page, 403, "This EHR is not set up here", PLATFORM, "iss: https://fhir.example/r4/unknown"
    )


async def test_what_an_unknown_issuer_is_called_is_no_markup(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch("code", iss="https://fhir.example/<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_nothing_is_fetched_from_an_issuer_that_is_not_configured(hospital: Hospital) -> None:
    world = hospital.world
    strange = "0c5f9bd6-0000-4000-8000-00000000abcd"
    await world.browser().launch("code", iss=world.base_url(strange))
    requests = await world.control(world.cerner, "GET", "requests")
    assert not [one for one in requests["requests"] if strange in one["path"]]


@pytest.mark.parametrize("methods", [None, [], ["plain"]], ids=["not told", "none", "plain"])
async def test_an_ehr_without_pkce_ends_the_launch_on_a_page_of_its_own(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, methods: list[str] | None
) -> None:
    told = EhrAccess.smart_configuration

    async def without(access: EhrAccess, site: Site) -> SmartConfiguration:
        return (await told(access, site)).model_copy(update={"code_challenge_methods_supported": methods})

    monkeypatch.setattr(EhrAccess, "smart_configuration", without)
    page = await hospital.world.browser().launch(await hospital.code())
    await ends(hospital.world, page, 502, "The EHR does not protect launches as it must", EHR_ADMIN, "PKCE", "S256")


async def test_an_issuer_is_the_same_in_every_form_of_its_address(hospital: Hospital) -> None:
    world = hospital.world
    iss = world.base_url().replace("https://", "HTTPS://") + "/"
    page = await world.browser().launch(await hospital.code(), iss=iss)
    assert "/clinician/" in str(page.url)


@pytest.mark.parametrize(
    "query",
    [
        "launch=code",
        "iss={iss}",
        "iss={iss}&launch=",
        "iss={iss}&iss={iss}&launch=code",
        "iss=https://evil.example&iss={iss}&launch=code",
        "iss={iss}&launch=code&launch=code",
        "iss={iss}&launch=" + "x" * 2049,
        "",
    ],
    ids=["no iss", "no launch", "empty launch", "iss twice", "two iss", "launch twice", "too long", "nothing"],
)
async def test_what_is_no_ehr_launch_says_so(hospital: Hospital, query: str) -> None:
    world = hospital.world
    url = f"{world.connector}/launch/provider?{query.replace('{iss}', world.base_url())}"
    page = await world.browser().open(url)
    await ends(world, page, 400, "This is not a launch from the EHR", EHR_ADMIN, "iss and launch, each once")
    named = await world.browser().open(f"{url}&record=lamna/lamna-test-provider")
    await ends(world, named, 400, "This is not a launch from the EHR", EHR_ADMIN)


async def test_a_launch_of_the_ehr_that_is_over_is_refused_by_the_ehr(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch("no-such-launch")
    await ends(hospital.world, page, 403, "The EHR refused the launch", EHR_ADMIN, "Open the visit again")


# -- Test and Production


async def test_a_test_record_in_the_production_ehr_names_both_environments(hospital: Hospital) -> None:
    world = hospital.world
    page = await world.browser().launch("code", iss=world.base_url(OTHER_TENANT), record="lamna/lamna-test-provider")
    await ends(
        world,
        page,
        403,
        "Test and Production are mixed up",
        EHR_ADMIN,
        "The launch came from lamna-production (Production), with the integration record of lamna-test (Test)",
        "No visit was started",
    )


async def test_a_production_record_in_the_test_ehr_names_both_environments(hospital: Hospital) -> None:
    world = hospital.world
    page = await world.browser().launch(await hospital.code(), record="lamna/lamna-production-provider")
    await ends(
        world,
        page,
        403,
        "Test and Production are mixed up",
        EHR_ADMIN,
        "The launch came from lamna-test (Test), with the integration record of lamna-production (Production)",
    )


async def test_a_record_that_nobody_knows_ends_the_launch(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch(await hospital.code(), record="other/lamna-test-provider")
    await ends(hospital.world, page, 403, "Test and Production are mixed up", EHR_ADMIN, "other/lamna-test-provider")


async def test_an_endpoint_that_is_not_active_says_what_shows_why(hospital: Hospital) -> None:
    world = hospital.world
    page = await world.browser().launch("code", iss=world.base_url(OTHER_TENANT))
    await ends(
        world,
        page,
        403,
        "Visits are not active yet at this endpoint",
        PLATFORM,
        "lamna-production (Production)",
        "kubectl describe fhir lamna-production -n lamna",
    )


async def test_an_endpoint_that_is_suspended_during_a_launch_ends_it(hospital: Hospital) -> None:
    world = hospital.world
    browser = world.browser()
    callback = await hospital.begun(browser)
    await world.configure(endpoints=[one | {"active": False} for one in world.document["endpoints"]])
    await asyncio.sleep(SPREAD_S)
    page = await browser.open(callback)
    await ends(world, page, 403, "Visits are not active yet at this endpoint", PLATFORM, "lamna-test (Test)")


# -- State


async def test_a_launch_is_bound_by_pkce_s256_state_nonce_and_audience(hospital: Hospital) -> None:
    world = hospital.world
    browser = world.browser()
    asked: list[dict[str, list[str]]] = []
    for _ in range(2):
        params = {"iss": world.base_url(), "launch": await hospital.code()}
        answer = await browser.http.get(f"{world.connector}/launch/provider", params=params)
        asked.append(parse_qs(urlsplit(answer.headers["Location"]).query))
    for one in asked:
        assert one["code_challenge_method"] == ["S256"]
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", one["code_challenge"][0])
        assert one["aud"] == [world.base_url()]
        assert one["redirect_uri"] == [f"{world.connector}/launch/callback"]
        assert "code_verifier" not in one
    for name in ("code_challenge", "state", "nonce"):
        assert asked[0][name] != asked[1][name]


async def test_a_code_of_another_launch_is_worth_nothing(hospital: Hospital) -> None:
    world = hospital.world
    mine, theirs = world.browser(), world.browser()
    stolen = parse_qs(urlsplit(await hospital.begun(theirs)).query)["code"][0]
    callback = await hospital.begun(mine)
    own = parse_qs(urlsplit(callback).query)["code"][0]
    page = await mine.open(callback.replace(own, stolen))
    await ends(world, page, 403, "The EHR refused the launch", EHR_ADMIN, "invalid_grant")


async def test_a_state_counts_once(hospital: Hospital) -> None:
    browser = hospital.world.browser()
    callback = await hospital.begun(browser)
    assert "/clinician/" in str((await browser.open(callback)).url)
    page = await browser.open(callback)
    await ends(hospital.world, page, 400, "This launch was used already", YOU, "Each launch counts once")


async def test_a_state_that_failed_counts_once_too(hospital: Hospital) -> None:
    browser = hospital.world.browser()
    callback = await hospital.begun(browser, answer={"patient": None})
    assert (await browser.open(callback)).status_code == 400
    page = await browser.open(callback)
    await ends(hospital.world, page, 400, "This launch was used already", YOU)


async def test_a_state_ends_after_ten_minutes(hospital: Hospital) -> None:
    browser = hospital.world.browser()
    callback = await hospital.begun(browser)
    hospital.world.clock.ahead = timedelta(minutes=10)
    page = await browser.open(callback)
    await ends(hospital.world, page, 400, "This launch took too long", YOU, "More than ten minutes")


async def test_a_state_belongs_to_the_browser_in_which_it_was_begun(hospital: Hospital) -> None:
    world = hospital.world
    callback = await hospital.begun(world.browser())
    title = "This page belongs to another browser window"
    await ends(world, await world.browser().open(callback), 400, title, YOU, "allow cookies")
    other = world.browser()
    await hospital.begun(other)
    await ends(world, await other.open(callback), 400, title, YOU)


@pytest.mark.parametrize("change", ["first", "middle", "last", "shorter", "empty", "missing", "session"])
async def test_a_state_that_was_changed_is_none_of_ours(hospital: Hospital, change: str) -> None:
    world = hospital.world
    browser = world.browser()
    callback = await hospital.begun(browser)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    places = {"first": 0, "middle": len(state) // 2, "last": len(state) - 2}
    match change:
        case "shorter":
            changed = state[:-4]
        case "empty" | "missing":
            changed = ""
        case "session":
            board = await browser.launch(await hospital.code())
            changed = str(board.url).rpartition("/")[2]
        case _:
            place = places[change]
            changed = state[:place] + ("A" if state[place] != "A" else "B") + state[place + 1 :]
    wanted = callback.replace(f"state={state}", "" if change == "missing" else f"state={changed}")
    assert wanted != callback
    page = await browser.open(wanted)
    await ends(world, page, 400, "This launch was not begun here", YOU)


async def test_an_answer_without_a_code_is_refused(hospital: Hospital) -> None:
    browser = hospital.world.browser()
    callback = re.sub(r"code=[^&]+&", "", await hospital.begun(browser))
    page = await browser.open(callback)
    await ends(hospital.world, page, 403, "The EHR refused the launch", EHR_ADMIN, "no code")


async def test_a_refusal_of_the_authorization_endpoint_is_shown(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch(await hospital.code(deny=True))
    await ends(hospital.world, page, 403, "The EHR refused the launch", EHR_ADMIN, "access_denied", "client id")


async def test_what_the_authorization_endpoint_calls_its_error_is_no_markup(hospital: Hospital) -> None:
    browser = hospital.world.browser()
    callback = re.sub(r"code=[^&]+", "error=%3Cimg%20src=x%20onerror=alert(1)%3E", await hospital.begun(browser))
    page = await browser.open(callback)
    await ends(hospital.world, page, 403, "The EHR refused the launch", EHR_ADMIN)
    assert "<img src=x" not in html.unescape(page.text)


@pytest.mark.parametrize("name", ["redirect_uri", "next", "url", "return", "target", "launch_url"])
async def test_no_parameter_leads_to_another_address(hospital: Hospital, name: str) -> None:
    world = hospital.world
    browser = world.browser()
    params = {"iss": world.base_url(), "launch": await hospital.code(), name: "https://evil.example/"}
    answer = await browser.http.get(f"{world.connector}/launch/provider", params=params)
    assert answer.headers["Location"].startswith(f"{world.cerner}/tenants/{TENANT}/")
    assert "evil.example" not in answer.headers["Location"]
    back = await browser.http.get(answer.headers["Location"])
    done = await browser.http.get(back.headers["Location"], params={name: "https://evil.example/"} | _query(back))
    assert done.headers["Location"].startswith("/clinician/")


def _query(answer: httpx.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


# -- Cookies and headers


async def test_the_browser_gets_one_cookie_that_fits_a_frame_of_another_site(hospital: Hospital) -> None:
    world = hospital.world
    params = {"iss": world.base_url(), "launch": await hospital.code()}
    answer = await world.browser().http.get(f"{world.connector}/launch/provider", params=params)
    (cookie,) = answer.headers.get_list("Set-Cookie")
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-ehr-browser=")
    assert sorted(attributes) == ["HttpOnly", "Partitioned", "Path=/", "SameSite=None", "Secure"]


async def test_a_launch_leaves_no_cookie_to_another_patient_s_launch(hospital: Hospital) -> None:
    """The one cookie says nothing: it stays the same for each launch in a browser."""
    world = hospital.world
    browser = world.browser()
    await browser.launch(await hospital.code())
    before = dict(browser.http.cookies.items())
    await browser.launch(await hospital.code())
    assert dict(browser.http.cookies.items()) == before
    assert len(before) == 1


async def test_pages_in_the_frame_are_framed_by_the_configured_origins_alone(hospital: Hospital) -> None:
    world = hospital.world
    page = await world.browser().launch(await hospital.code())
    policy = page.headers["Content-Security-Policy"]
    assert f"frame-ancestors {world.cerner}" in policy.split("; ")
    assert "X-Frame-Options" not in page.headers
    assert "'unsafe-inline'" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"


async def test_the_scripts_open_no_window_and_keep_nothing_in_the_browser(hospital: Hospital) -> None:
    world = hospital.world
    page = await world.browser().launch(await hospital.code())
    scripts = re.findall(r'<script src="([^"]+)"', page.text)
    assert scripts
    assert "<script>" not in page.text
    for address in scripts:
        text = (await world.browser().open(f"{world.connector}{address}")).text
        for forbidden in ("window.open", "sessionStorage", "localStorage", "indexedDB", "document.cookie", "eval("):
            assert forbidden not in text
