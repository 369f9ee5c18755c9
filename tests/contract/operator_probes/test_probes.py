"""What the probes see of servers over real HTTPS: evidence of each way to fail, within their limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contract.operator_probes.conftest import Hospital
from contract.operator_probes.server import CAPABILITIES, SMART, Ehr

from ehr_clients import limits
from ehr_operator.fhir_endpoint.probes import Fetch

_TIMEOUT_S = 30.0


async def test_a_right_server_with_a_trusted_certificate_is_read_completely(hospital: Hospital) -> None:
    ehr = Ehr()
    seen = await hospital.probes().observe(f"{await hospital.start(ehr)}/r4", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.smart.fetch) == (Fetch.ANSWERED, Fetch.ANSWERED)
    assert (seen.metadata.document, seen.smart.document) == (CAPABILITIES, SMART)
    assert (seen.metadata.status, seen.metadata.media_type) == (200, "application/fhir+json")
    assert 0 < seen.metadata.elapsed_s < _TIMEOUT_S
    assert seen.metadata.certificate_expiry is not None
    assert seen.metadata.certificate_expiry > datetime.now(UTC) + timedelta(days=30)
    assert ehr.paths == ["/r4/metadata", "/r4/.well-known/smart-configuration"]


async def test_a_request_names_the_host_and_carries_no_credential(hospital: Hospital) -> None:
    ehr = Ehr()
    origin = await hospital.start(ehr)
    await hospital.probes().observe(f"{origin}/r4", _TIMEOUT_S)
    [headers] = ehr.headers
    assert headers["host"] == origin.removeprefix("https://")
    assert headers["accept"].startswith("application/fhir+json")
    assert {"authorization", "cookie"}.isdisjoint(headers)


async def test_a_base_url_with_a_slash_at_its_end_is_asked_at_the_same_addresses(hospital: Hospital) -> None:
    ehr = Ehr()
    await hospital.probes().observe(f"{await hospital.start(ehr)}/r4/", _TIMEOUT_S)
    assert ehr.paths == ["/r4/metadata", "/r4/.well-known/smart-configuration"]


async def test_a_certificate_of_an_unknown_authority_is_not_accepted(hospital: Hospital) -> None:
    ehr = Ehr()
    seen = await hospital.probes().observe(f"{await hospital.start(ehr, strange=True)}/r4", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.tls_code) == (Fetch.TLS_FAILED, 20)
    assert seen.smart == seen.metadata
    assert ehr.paths == [], "nothing is sent to a server that is not trusted"


async def test_an_expired_certificate_is_told_from_an_untrusted_one(hospital: Hospital) -> None:
    seen = await hospital.probes().observe(f"{await hospital.start(Ehr(), expired=True)}/r4", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.tls_code) == (Fetch.TLS_FAILED, 10)
    assert "expired" in seen.metadata.detail


async def test_a_certificate_for_another_name_is_not_accepted(hospital: Hospital) -> None:
    origin = await hospital.start(Ehr(), name="other.lamna.test")
    seen = await hospital.probes().observe(f"{origin}/r4", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.tls_code) == (Fetch.TLS_FAILED, 62)


async def test_a_server_that_speaks_no_tls_fails_the_handshake(hospital: Hospital) -> None:
    ehr = Ehr()
    seen = await hospital.probes().observe(f"{await hospital.start(ehr, plain=True)}/r4", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.tls_code) == (Fetch.TLS_FAILED, None)
    assert ehr.paths == []


async def test_a_redirect_to_another_host_is_not_followed(hospital: Hospital) -> None:
    elsewhere = Ehr()
    ehr = Ehr(redirect_to=await hospital.start(elsewhere))
    seen = await hospital.probes().observe(f"{await hospital.start(ehr)}/redirect", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.status) == (Fetch.ANSWERED, 307)
    assert elsewhere.paths == []


async def test_a_huge_answer_is_left_at_the_limit(hospital: Hospital) -> None:
    ehr = Ehr()
    seen = await hospital.probes().observe(f"{await hospital.start(ehr)}/huge", _TIMEOUT_S)
    assert seen.metadata.fetch is Fetch.TOO_LARGE
    assert str(limits.MAX_ANSWER_BYTES) in seen.metadata.detail
    assert ehr.sent_bytes < 64 * 1024 * 1024, "the rest was never taken"


async def test_a_compressed_answer_is_not_unpacked(hospital: Hospital) -> None:
    seen = await hospital.probes().observe(f"{await hospital.start(Ehr())}/gzip", _TIMEOUT_S)
    assert seen.metadata.document is None
    assert seen.metadata.fetch is not Fetch.ANSWERED


async def test_a_slow_drip_ends_at_the_time_limit_although_every_byte_comes_in_time(hospital: Hospital) -> None:
    origin = await hospital.start(Ehr())
    seen = await hospital.probes().observe(f"{origin}/drip", 0.5)
    assert seen.metadata.fetch is Fetch.UNREACHABLE
    assert seen.metadata.detail == "no complete answer in 0.5 s"


async def test_half_an_answer_is_no_answer(hospital: Hospital) -> None:
    seen = await hospital.probes().observe(f"{await hospital.start(Ehr())}/half", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.document) == (Fetch.UNREACHABLE, None)


async def test_a_refused_tenant_is_an_answer_with_its_status(hospital: Hospital) -> None:
    seen = await hospital.probes().observe(f"{await hospital.start(Ehr())}/forbidden", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.status, seen.metadata.document) == (Fetch.ANSWERED, 403, None)
    assert "Tenant" not in seen.metadata.detail


@pytest.mark.parametrize(
    ("behaviour", "media_type"), [("html", "text/html"), ("list", "application/json"), ("deep", "application/json")]
)
async def test_an_answer_that_is_no_json_object_has_no_document(
    behaviour: str, media_type: str, hospital: Hospital
) -> None:
    seen = await hospital.probes().observe(f"{await hospital.start(Ehr())}/{behaviour}", _TIMEOUT_S)
    assert (seen.metadata.fetch, seen.metadata.document) == (Fetch.ANSWERED, None)
    assert seen.metadata.media_type == media_type


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"]],
)
async def test_an_address_that_is_not_public_is_refused_before_any_connection(
    addresses: list[str], hospital: Hospital
) -> None:
    ehr = Ehr()
    origin = await hospital.start(ehr)
    seen = await hospital.probes(allowed=(), addresses=addresses).observe(f"{origin}/r4", _TIMEOUT_S)
    assert seen.metadata.fetch is Fetch.ADDRESS_REFUSED
    assert ehr.paths == []


async def test_a_name_without_an_address_is_told_from_a_server_that_is_down(hospital: Hospital) -> None:
    origin = await hospital.start(Ehr())
    nowhere = await hospital.probes(addresses=()).observe(f"{origin}/r4", _TIMEOUT_S)
    assert nowhere.metadata.fetch is Fetch.NO_ADDRESS
    down = await hospital.probes(addresses=("127.0.0.2",)).observe(f"{origin}/r4", _TIMEOUT_S)
    assert down.metadata.fetch is Fetch.UNREACHABLE


async def test_one_validation_resolves_the_name_once(hospital: Hospital) -> None:
    origin = await hospital.start(Ehr())
    probes = hospital.probes()
    await probes.observe(f"{origin}/r4", _TIMEOUT_S)
    assert len(hospital.resolved) == 1
    await probes.observe(f"{origin}/r4", _TIMEOUT_S)
    assert len(hospital.resolved) == 2, "the next validation asks anew"
