"""What the probes with the connector's key say of an EHR over TLS, well or not, and what they never tell."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest
from contract.connector.hospital import (
    CLIENT,
    LOOPBACK,
    NARROW_CLIENT,
    SCOPES,
    UNKEPT_CLIENT,
    UNKNOWN_TENANT,
    Cerner,
    StrangeEhr,
    endpoint_at,
    granted,
)
from contract.connector.probing import outcomes, report_of
from contract.connector.running import Connector, Starter, organization_path
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from ehr_clients import limits
from ehr_connector.control import probes

NOT_RUN = {"outcome": "NotRun", "missingScopes": []}
SMART, TOKEN, SEARCH = "smart-configuration", "/token$", "/Appointment"


async def test_an_ehr_that_works_passes_with_matches_and_latency(reaching: Connector, cerner: Cerner) -> None:
    report = await report_of(reaching, cerner.base_url())
    token, search = report["token"], report["appointmentSearch"]
    assert outcomes(report) == ("Passed", "Passed")
    assert (token["httpStatus"], search["httpStatus"]) == (200, 200)
    assert 0 <= token["latencyMilliseconds"] < 20_000
    assert 0 <= search["latencyMilliseconds"] < 20_000
    assert search["matches"] > 0
    assert set(token) == {"outcome", "httpStatus", "missingScopes", "latencyMilliseconds"}


async def test_practitioners_are_searched_where_no_location_is_given(reaching: Connector, cerner: Cerner) -> None:
    appointments = {"practitioners": ["4464007"], "virtualVisitTypes": ["Video Visit"], "timeZone": "America/Chicago"}
    report = await report_of(reaching, cerner.base_url(), appointments=appointments)
    assert outcomes(report) == ("Passed", "Passed")


async def test_an_endpoint_that_is_not_active_is_probed_too(reaching: Connector, cerner: Cerner) -> None:
    assert outcomes(await report_of(reaching, cerner.base_url(), active=False)) == ("Passed", "Passed")


async def test_a_slash_at_the_end_of_the_base_url_changes_nothing(reaching: Connector, cerner: Cerner) -> None:
    assert outcomes(await report_of(reaching, f"{cerner.base_url()}/")) == ("Passed", "Passed")


async def test_a_slow_answer_passes_and_shows_in_the_latency(reaching: Connector, cerner: Cerner) -> None:
    await cerner.fault(SEARCH, action="delay", delay_s=0.3)
    report = await report_of(reaching, cerner.base_url())
    assert outcomes(report) == ("Passed", "Passed")
    assert report["appointmentSearch"]["latencyMilliseconds"] >= 300


@pytest.mark.parametrize("call", [SMART, TOKEN, SEARCH])
@pytest.mark.parametrize(
    ("fault", "outcome", "status"),
    [
        ({"action": "status", "status": 429, "retry_after_s": 60}, "ServerError", 429),
        ({"action": "status", "status": 500}, "ServerError", 500),
        ({"action": "status", "status": 503}, "ServerError", 503),
        ({"action": "status", "status": 504}, "ServerError", 504),
        ({"action": "status", "status": 404}, "NotFound", 404),
        ({"action": "status", "status": 401}, "Refused", 401),
        ({"action": "cut"}, "Unreachable", None),
        ({"action": "lose_answer"}, "Unreachable", None),
        ({"action": "half_answer"}, "Unreachable", None),
        ({"action": "delay", "delay_s": 1.5}, "Unreachable", None),
    ],
    ids=["429", "500", "503", "504", "404", "401", "cut", "lost", "half", "too slow"],
)
async def test_each_fault_of_each_call_has_its_outcome(
    reaching: Connector,
    cerner: Cerner,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    fault: dict[str, Any],
    outcome: str,
    status: int | None,
) -> None:
    if "delay_s" in fault:
        monkeypatch.setattr(probes, "_LIMIT_S", 0.5)
    await cerner.fault(call, **fault)
    report = await report_of(reaching, cerner.base_url())
    failed = report["appointmentSearch"] if call == SEARCH else report["token"]
    assert outcomes(report) == (("Passed", outcome) if call == SEARCH else (outcome, "NotRun"))
    assert (failed.get("httpStatus"), "matches" in failed) == (status, False)


async def test_a_client_that_the_ehr_does_not_know_is_refused_with_its_code(
    reaching: Connector, cerner: Cerner
) -> None:
    report = await report_of(reaching, cerner.base_url(), systemClientID="nobody")
    assert report["token"]["outcome"] == "Refused"
    assert (report["token"]["httpStatus"], report["token"]["errorCode"]) == (400, "invalid_client")
    assert report["appointmentSearch"] == NOT_RUN


async def test_a_client_that_is_registered_with_other_keys_is_refused(reaching: Connector, cerner: Cerner) -> None:
    report = await report_of(reaching, cerner.base_url(), systemClientID=UNKEPT_CLIENT)
    assert (report["token"]["outcome"], report["token"]["errorCode"]) == ("Refused", "invalid_client")


async def test_an_unknown_tenant_is_told_from_every_other_refusal(reaching: Connector, cerner: Cerner) -> None:
    report = await report_of(reaching, cerner.base_url(UNKNOWN_TENANT))
    assert (outcomes(report), report["token"]["httpStatus"]) == (("TenantRefused", "NotRun"), 403)


async def test_scopes_that_were_not_granted_are_named(reaching: Connector, cerner: Cerner) -> None:
    report = await report_of(reaching, cerner.base_url(), systemClientID=NARROW_CLIENT)
    assert report["token"]["outcome"] == "ScopesMissing"
    assert report["token"]["missingScopes"] == ["system/Patient.read"]
    assert report["appointmentSearch"] == NOT_RUN
    assert not [path for path in await cerner.requests() if path.endswith("/Appointment")]


async def test_scopes_that_do_not_exist_are_refused(reaching: Connector, cerner: Cerner) -> None:
    report = await report_of(reaching, cerner.base_url(), systemScopes=["system/Nothing.read"])
    assert (report["token"]["outcome"], report["token"]["errorCode"]) == ("Refused", "invalid_scope")


async def test_without_a_key_nothing_is_sent(reaching: Connector, cerner: Cerner, keys_dir: Path) -> None:
    document = endpoint_at(cerner.base_url())
    await reaching.put_new(document)
    _empty(keys_dir)
    assert await reaching.probe(document) == {
        "token": {"outcome": "NotConfigured", "missingScopes": []},
        "appointmentSearch": NOT_RUN,
    }
    assert await cerner.requests() == []


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1/token", "ftp://host/token", "//host:x/token"])
async def test_a_token_endpoint_that_is_no_https_address_is_not_asked(
    reaching: Connector, strange: StrangeEhr, endpoint: str
) -> None:
    strange.token_endpoint = endpoint
    report = await report_of(reaching, strange.base_url)
    assert report["token"]["outcome"] in {"UnexpectedAnswer", "Unreachable"}
    assert strange.requests == ["smart-configuration"]


async def test_a_relative_token_endpoint_is_below_the_base_url(reaching: Connector, strange: StrangeEhr) -> None:
    strange.token_endpoint = "token"
    assert outcomes(await report_of(reaching, strange.base_url)) == ("Passed", "Passed")


async def test_an_ehr_without_appointments_passes_with_no_match(reaching: Connector, strange: StrangeEhr) -> None:
    report = await report_of(reaching, strange.base_url)
    assert report["appointmentSearch"]["matches"] == 0


@pytest.mark.parametrize("step", ["configuration", "token", "appointments"])
@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("<html>Nancy Smart</html>"),
        PlainTextResponse(""),
        PlainTextResponse("null"),
        JSONResponse([]),
        JSONResponse({"name": "Nancy Smart"}),
        JSONResponse({"resourceType": 1, "token_endpoint": 1, "access_token": 1, "token_type": 1}),
        JSONResponse({"resourceType": "OperationOutcome", "issue": []}),
        Response(b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"}),
        Response(gzip.compress(b"0" * 2**26), headers={"Content-Encoding": "gzip"}),
        Response(b'{"resourceType": "Bundle", "token_endpoint": "https://auth', media_type="application/json"),
        Response('{"name": "Näncy Smart"}'.encode("latin-1"), media_type="application/json"),
        Response('{"name": "Nancy Smart"}'.encode("utf-16"), media_type="application/json; charset=utf-16"),
        Response(b" " * (5 * 2**20)),
        Response(b"[" * 100_000),
    ],
    ids=[
        "HTML",
        "empty",
        "null",
        "list",
        "other",
        "numbers",
        "outcome",
        "gzip",
        "bomb",
        "cut",
        "latin-1",
        "UTF-16",
        "huge",
        "deep",
    ],
)
async def test_an_answer_that_is_not_the_standards_is_unexpected(
    reaching: Connector, strange: StrangeEhr, step: str, answer: Response
) -> None:
    setattr(strange, step, answer)
    report = await report_of(reaching, strange.base_url)
    expected = ("Passed", "UnexpectedAnswer") if step == "appointments" else ("UnexpectedAnswer", "NotRun")
    assert outcomes(report) == expected
    assert "Nancy" not in str(report)


@pytest.mark.parametrize("step", ["configuration", "token", "appointments"])
async def test_a_redirect_is_not_followed(reaching: Connector, strange: StrangeEhr, step: str) -> None:
    setattr(strange, step, RedirectResponse(f"{strange.base_url}/elsewhere"))
    report = await report_of(reaching, strange.base_url)
    assert outcomes(report) == (("Passed", "Refused") if step == "appointments" else ("Refused", "NotRun"))


async def test_a_grant_that_names_no_scope_lacks_them_all(reaching: Connector, strange: StrangeEhr) -> None:
    # SMART App Launch 2.2, "Backend Services": `scope` is required in the answer.
    body = granted()
    del body["scope"]
    strange.token = JSONResponse(body)
    report = await report_of(reaching, strange.base_url)
    assert (report["token"]["outcome"], report["token"]["missingScopes"]) == ("ScopesMissing", SCOPES)


@pytest.mark.parametrize("token", ["line\r\nX-Other: 1", "naïve", "\u0000"])
async def test_a_token_that_cannot_stand_in_a_header_is_not_sent(
    reaching: Connector, strange: StrangeEhr, token: str
) -> None:
    strange.token = JSONResponse(granted(access_token=token))
    report = await report_of(reaching, strange.base_url)
    assert outcomes(report)[1] != "Passed"
    assert "Appointment" not in strange.requests


async def test_an_error_code_is_cut_and_nothing_else_of_the_error_is_told(
    reaching: Connector, strange: StrangeEhr
) -> None:
    strange.token = JSONResponse({"error": "invalid_client", "error_description": "Nancy Smart"}, 400)
    report = await report_of(reaching, strange.base_url)
    assert report["token"]["errorCode"] == "invalid_client"
    assert "Nancy" not in str(report)


async def test_the_code_of_an_operation_outcome_is_told(reaching: Connector, strange: StrangeEhr) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "required", "diagnostics": "Nancy Smart"}]}
    strange.appointments = JSONResponse(outcome, 400)
    report = await report_of(reaching, strange.base_url)
    assert (report["appointmentSearch"]["outcome"], report["appointmentSearch"]["errorCode"]) == ("Refused", "required")
    assert "Nancy" not in str(report)


async def test_an_ehr_that_does_not_listen_is_unreachable(reaching: Connector) -> None:
    assert outcomes(await report_of(reaching, "https://127.0.0.1:1/r4")) == ("Unreachable", "NotRun")


async def test_a_certificate_of_a_strange_authority_is_not_trusted(
    start: Starter, sqlite_url: str, strange: StrangeEhr
) -> None:
    connector = await start(sqlite_url, allowed_networks=LOOPBACK, ca_file=None)
    report = await report_of(connector, strange.base_url)
    assert (outcomes(report), report["token"]["errorCode"]) == (("Unreachable", "NotRun"), "tls_failed")
    assert strange.requests == []


@pytest.mark.parametrize("base_url", ["https://", "https://a..b/r4"])
async def test_a_base_url_that_is_none_is_unreachable(reaching: Connector, base_url: str) -> None:
    assert (await report_of(reaching, base_url))["token"]["outcome"] in {"Unreachable", "UnexpectedAnswer"}


async def test_many_probes_run_at_once(reaching: Connector, cerner: Cerner) -> None:
    await cerner.fault("", action="delay", delay_s=0.2)
    document = endpoint_at(cerner.base_url())
    await reaching.put_new(document)
    async with asyncio.timeout(12):
        reports = await asyncio.gather(*(reaching.probe(document) for _ in range(16)))
    assert {outcomes(report) for report in reports} == {("Passed", "Passed")}


async def test_an_ehr_that_is_slow_in_each_answer_is_told_as_slow_before_the_operator_gives_up(
    reaching: Connector, cerner: Cerner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_LIMIT_S", 2.0)
    await cerner.fault(f"{TOKEN}|{SEARCH}", action="delay", delay_s=1.4)

    report = await report_of(reaching, cerner.base_url())

    assert outcomes(report) == ("Passed", "Unreachable")
    assert report["appointmentSearch"]["errorCode"] == "too_slow"


async def test_an_endpoint_that_has_no_turn_in_time_is_told_apart_from_a_slow_ehr(
    reaching: Connector, cerner: Cerner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_TURN_S", 0.3)
    monkeypatch.setattr(probes, "_LIMIT_S", 4.0)
    await cerner.fault(SMART, action="delay", delay_s=30.0, count=probes.AT_A_TIME)
    document = endpoint_at(cerner.base_url())
    await reaching.put_new(document)
    path = f"{organization_path(document)}/endpoints/{document['endpoints'][0]['name']}/probes"

    answers = await asyncio.gather(*(reaching.send("POST", path) for _ in range(probes.AT_A_TIME + 1)))

    assert sorted(answer.status_code for answer in answers) == [*[200] * probes.AT_A_TIME, 503]
    assert await reaching.probe(document), "the next one has its turn"


def test_the_connector_ends_its_probes_before_the_operator_gives_up() -> None:
    assert probes._TURN_S + probes._LIMIT_S + 1 < limits.PROBES_TIMEOUT_S  # pyright: ignore[reportPrivateUsage]  # two programs have to agree


async def test_no_token_and_no_body_is_ever_told(
    reaching: Connector, strange: StrangeEhr, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    patient = {"resourceType": "Patient", "name": [{"family": "Nancy-Smart-1990"}]}
    strange.token = JSONResponse(granted(access_token="s3cret-token", refresh_token="s3cret-refresh"))
    for answer in (
        JSONResponse({"resourceType": "Bundle", "entry": [{"resource": patient}]}),
        JSONResponse({"resourceType": "Nancy-Smart-1990"}),
        JSONResponse({"resourceType": "OperationOutcome", "issue": [{"diagnostics": "Nancy-Smart-1990"}]}, 400),
        PlainTextResponse("Nancy-Smart-1990", 500),
    ):
        strange.appointments = answer
        document = endpoint_at(strange.base_url)
        await reaching.delete(document)
        await reaching.put_new(document)
        report = await reaching.send("POST", f"{organization_path(document)}/endpoints/endpoint-0000/probes")
        metrics = await reaching.http.get("/metrics")
        told = report.text + caplog.text + metrics.text
        assert not [secret for secret in ("s3cret", "Nancy", "eyJ") if secret in told]
    assert strange.requests.count("Appointment") == 4


async def test_outcomes_are_counted_by_probe_and_nothing_else(reaching: Connector, cerner: Cerner) -> None:
    await report_of(reaching, cerner.base_url(), systemClientID=CLIENT, systemScopes=SCOPES)
    metrics = (await reaching.http.get("/metrics")).text
    assert 'ehr_connector_probes_total{outcome="Passed",probe="token"} 1.0' in metrics
    assert 'ehr_connector_probes_total{outcome="Passed",probe="appointment_search"} 1.0' in metrics
    assert cerner.origin not in metrics


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


async def test_a_token_that_is_no_bearer_token_is_unexpected(reaching: Connector, strange: StrangeEhr) -> None:
    strange.token = JSONResponse(granted(token_type="mac"))
    assert outcomes(await report_of(reaching, strange.base_url)) == ("UnexpectedAnswer", "NotRun")


@pytest.mark.parametrize("endpoint", ["https://["])
async def test_a_token_endpoint_that_is_no_url_is_unexpected(
    reaching: Connector, strange: StrangeEhr, endpoint: str
) -> None:
    strange.token_endpoint = endpoint
    assert outcomes(await report_of(reaching, strange.base_url)) == ("UnexpectedAnswer", "NotRun")
