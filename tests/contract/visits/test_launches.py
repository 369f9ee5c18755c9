"""Launches that end: each with a page that says what is wrong, for whom and what to do, and with nothing begun."""

from __future__ import annotations

import asyncio
import html
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from contract.visits.world import OTHER_TENANT, TENANT, Browser, World, running_world
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from ehr_clients.http import ask
from ehr_sandbox.local_ca import LocalCA

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORRELATION = re.compile(r"<code[^>]*>([0-9a-f]{32})</code>")
HEADING = re.compile(r"<h1>([^<]+)</h1>")
YOU, EHR_ADMIN, PLATFORM = (
    "For you.",
    "For the EHR administrator of your organization.",
    "For the platform team of your organization.",
)


@dataclass
class Hospital:
    """A world with one patient who has one visit."""

    world: World
    patient: str
    visit: dict[str, Any]

    async def code(self, **changes: Any) -> str:
        """Make a launch in the EHR."""
        return await self.world.launch(self.patient, self.visit["encounter"], **changes)

    async def begun(self, browser: Browser, **changes: Any) -> str:
        """Launch as far as the EHR's authorization endpoint, and return the address of our callback."""
        params = {"iss": self.world.base_url(), "launch": await self.code(**changes)}
        answer = await browser.http.get(f"{self.world.connector}/launch/provider", params=params)
        assert answer.status_code == 303, answer.text
        back = await browser.http.get(answer.headers["Location"])
        assert back.headers["Location"].startswith(f"{self.world.connector}/launch/callback?")
        return back.headers["Location"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[Hospital]:
    """One hospital for all launches: none of them leaves anything behind."""
    work = tmp_path_factory.mktemp("launches")
    async with running_world(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as world:
        patient = await world.patient()
        yield Hospital(world, patient, await world.book(patient))


@pytest_asyncio.fixture(loop_scope="module")
async def hospital(standing: Hospital) -> AsyncGenerator[Hospital]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield standing
    standing.world.clock.ahead = timedelta()
    for system in (standing.world.cerner, standing.world.graph):
        await standing.world.control(system, "PUT", "faults", json=[])


async def ends(
    world: World,
    page: httpx.Response,
    status: int,
    title: str,
    audience: str,
    *said: str,
    framed: bool = True,
) -> None:
    """Assert that a launch ended with this page, and that nothing was begun."""
    text = html.unescape(page.text)
    assert (page.status_code, HEADING.findall(text)) == (status, [title])
    assert audience in text
    assert "What to do" in text
    assert CORRELATION.search(text)
    for one in said:
        assert one in text
    ancestors = world.cerner if framed else "'none'"
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {ancestors}")
    assert page.headers["Cache-Control"] == "no-store"
    assert "/clinician/" not in str(page.url) + page.text
    assert await world.meetings() == []


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
    await ends(hospital.world, answer, 403, "This EHR is not set up here", PLATFORM, "FhirEndpoint", framed=False)
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
    await ends(
        world, page, 400, "This is not a launch from the EHR", EHR_ADMIN, "iss and launch, each once", framed=False
    )
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
    endpoints = world.document["endpoints"]
    await world.configure(endpoints=[one | {"active": False} for one in endpoints])
    try:
        await asyncio.sleep(0.6)  # a change reaches launches within half a second
        page = await browser.open(callback)
    finally:
        await world.configure(endpoints=endpoints)
        await asyncio.sleep(0.6)
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
    await ends(world, page, 400, "This launch was not begun here", YOU, framed=False)


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


# -- The id token


def _past(minutes: int) -> int:
    return int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"exp": _past(5)},
        {"exp": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"sub": None},
        {"fhirUser": "x" * 200 + "/" + "y" * 200},
    ],
    ids=[
        "nonce", "no nonce", "expired", "no end", "audience", "no audience", "issuer", "no issuer", "no subject", "long",
    ],
)  # fmt: skip
async def test_an_id_token_that_does_not_hold_proves_nobody(hospital: Hospital, claims: dict[str, Any]) -> None:
    page = await hospital.world.browser().launch(await hospital.code(idToken=claims))
    await ends(
        hospital.world, page, 403, "The EHR did not prove who you are", EHR_ADMIN, "issuer, audience, nonce, signature"
    )


@pytest.mark.parametrize(
    "token", [None, "", "a.b.c", "no token", "x" * 9000], ids=["none", "empty", "abc", "text", "long"]
)
async def test_what_is_no_id_token_proves_nobody(hospital: Hospital, token: str | None) -> None:
    page = await hospital.world.browser().launch(await hospital.code(answer={"id_token": token}))
    await ends(hospital.world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)


@pytest.mark.parametrize("how", ["key of somebody else", "no signature", "shared secret", "same key id"])
async def test_a_forged_id_token_proves_nobody(hospital: Hospital, how: str) -> None:
    world = hospital.world
    browser = world.browser()
    params = {"iss": world.base_url(), "launch": "placeholder"}
    address = (await browser.http.get(f"{world.connector}/launch/provider", params=params)).headers["Location"]
    claims = {
        "iss": f"{world.cerner}/tenants/{TENANT}/oidc/idsps/{TENANT}/",
        "sub": "somebody",
        "aud": "lamna-clinician",
        "exp": _past(-9),
        "iat": _past(0),
        "nonce": parse_qs(urlsplit(address).query)["nonce"][0],
    }
    code = await hospital.code(answer={"id_token": await _forged(world, how, claims)})
    page = await browser.open(address.replace("launch=placeholder", f"launch={code}"))
    await ends(world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)


async def _forged(world: World, how: str, claims: dict[str, Any]) -> str:
    jwks = (await world.http.get(f"{world.cerner}/jwk")).json()["keys"]
    if how == "no signature":
        parts = (json.dumps(one).encode() for one in ({"alg": "none"}, claims))
        return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])
    if how == "shared secret":
        key = OctKey.import_key(str(jwks[0]["n"]))
        return jwt.encode({"alg": "HS256", "kid": jwks[0]["kid"]}, claims, key, algorithms=["HS256"])
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256"} | ({"kid": jwks[0]["kid"]} if how == "same key id" else {})
    return jwt.encode(header, claims, key, algorithms=["RS256"])


async def test_nothing_is_fetched_from_an_issuer_that_only_the_id_token_names(hospital: Hospital) -> None:
    world = hospital.world
    other = f"{world.cerner}/tenants/{TENANT}x/oidc/idsps/{OTHER_TENANT}/"
    page = await world.browser().launch(await hospital.code(idToken={"iss": other}))
    await ends(world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)
    requests = await world.control(world.cerner, "GET", "requests")
    assert not [one for one in requests["requests"] if f"{TENANT}x" in one["path"]]


# -- What the EHR grants


async def test_scopes_that_were_not_granted_are_named(hospital: Hospital) -> None:
    scope = "launch openid fhirUser online_access user/Patient.read"
    page = await hospital.world.browser().launch(await hospital.code(answer={"scope": scope}))
    await ends(hospital.world, page, 403, "The EHR granted too little", EHR_ADMIN, "user/Appointment.read")


async def test_a_launch_without_a_patient_says_where_visits_begin(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch(await hospital.code(answer={"patient": None}))
    await ends(hospital.world, page, 400, "The EHR named no patient", YOU, "patient's chart")


FAULTS: dict[str, dict[str, Any]] = {
    "429": {"action": "status", "status": 429, "retry_after_s": 5},
    "500": {"action": "status", "status": 500},
    "503": {"action": "status", "status": 503},
    "down": {"action": "cut"},
    "lost": {"action": "lose_answer"},
    "half-written": {"action": "half_answer"},
    "slow": {"action": "delay", "delay_s": 1.5},
}


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connector wait half a second for an answer, in place of twenty."""
    monkeypatch.setattr(ask, "__kwdefaults__", {**(ask.__kwdefaults__ or {}), "timeout_s": 0.5})


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_ehr_that_gives_no_token_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = hospital.world
    if fault == "slow":
        impatient(monkeypatch)
    browser = world.browser()
    callback = await hospital.begun(browser)
    await world.fault(world.cerner, "/token$", **FAULTS[fault])
    page = await browser.open(callback)
    await ends(world, page, 502, "The EHR does not answer", YOU, "call the patient by phone")


@pytest.mark.parametrize("fault", ["503", "down", "half-written", "slow"])
async def test_an_ehr_that_cannot_be_asked_where_it_authorizes_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = hospital.world
    await world.restart()  # what was read before is kept for minutes
    if fault == "slow":
        impatient(monkeypatch)
    await world.fault(world.cerner, "smart-configuration", **FAULTS[fault])
    page = await world.browser().launch(await hospital.code())
    await ends(world, page, 502, "The EHR does not answer", YOU, "call the patient by phone")


@pytest.mark.parametrize("fault", ["429", "down", "half-written", "slow"])
@pytest.mark.parametrize("call", ["openid-configuration", "/jwk$"])
async def test_an_ehr_whose_keys_cannot_be_read_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, call: str, fault: str
) -> None:
    world = hospital.world
    await world.restart()
    browser = world.browser()
    callback = await hospital.begun(browser)
    if fault == "slow":
        impatient(monkeypatch)
    await world.fault(world.cerner, call, **FAULTS[fault])
    page = await browser.open(callback)
    await ends(world, page, 502, "The EHR does not answer", YOU)


async def test_a_connector_without_a_signing_key_says_who_has_to_see_to_it(hospital: Hospital) -> None:
    world = hospital.world
    browser = world.browser()
    callback = await hospital.begun(browser)
    keys = [path for path in (world.work / "keys").iterdir() if "secret" not in path.name and "notif" not in path.name]
    away = world.work / "away"
    away.mkdir()
    try:
        for path in keys:
            path.rename(away / path.name)
        page = await browser.open(callback)
    finally:
        for path in keys:
            (away / path.name).rename(path)
        away.rmdir()
    await ends(world, page, 503, "The connector is not set up completely", PLATFORM, "/readyz")


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
