"""From a server over real HTTPS to the conditions that people read: what is wrong, whose turn it is, and nothing private."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from contract.operator_probes.conftest import HOST, Hospital
from contract.operator_probes.server import CANARY, HUGE_BYTES, Ehr

from ehr_api.conditions import Finding, Type
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_clients.guard import Address
from ehr_operator.fhir_endpoint.probes import EhrProbes, Fetch
from ehr_operator.fhir_endpoint.verdicts import network_verdicts

_TIMEOUT_S = 5.0


def spec(base_url: str) -> FhirEndpointSpec:
    return FhirEndpointSpec.model_validate(
        {
            "configRef": {"name": "lamna"},
            "baseURL": base_url,
            "environment": "Test",
            "departments": [{"name": "clinic-4", "displayName": "Clinic 4"}],
            "smart": {"clinicianClientID": "clinician", "systemClientID": "system"},
            "appointments": {
                "locations": ["1"],
                "virtualVisitTypes": ["Video Visit"],
                "timeZone": "America/Chicago",
                "writeBackLinks": True,
            },
        }
    )


async def judged(
    probes: EhrProbes, base_url: str, *, timeout_s: float = _TIMEOUT_S, latencies: Sequence[float] = ()
) -> dict[Type, Finding]:
    """Look at a server and return the conditions; none of them may hold what a server sent in a body or a query."""
    seen = await probes.observe(base_url, timeout_s)
    found = network_verdicts(spec(base_url), seen, latencies or [seen.metadata.elapsed_s], datetime.now(UTC))
    told = " ".join(finding.message for finding in found)
    assert not [private for private in (CANARY, "Näncy", "Nancy", "session=") if private in told]
    assert not [private for private in (CANARY, "Nancy") if private in repr(seen)]
    return {finding.type: finding for finding in found}


def blamed(found: dict[Type, Finding]) -> tuple[Type, str]:
    """Return the first condition that does not hold, with its reason."""
    [first, *_] = [one for one in found.values() if one.status == "False"]
    return first.type, first.reason


async def test_a_server_that_is_right_in_everything_makes_every_condition_true(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr())}/r4")
    assert {one.type: one.reason for one in found.values() if one.status != "True"} == {}
    assert found[Type.TLS_TRUSTED].message == "TLS 1.3: chain, name and dates of the certificate are accepted"


@pytest.mark.parametrize(
    ("behaviour", "reason", "evidence", "remedy"),
    [
        ("html", "HtmlPage", "a web page (text/html)", "Author: baseURL is not the address"),
        ("html-as-json", "HtmlPage", "a web page (application/fhir+json)", "Author: "),
        ("truncated", "BrokenJson", "JSON (application/fhir+json) that is cut off", "EHR team: look at"),
        ("deep", "BrokenJson", "badly made", "EHR team: "),
        ("latin-1", "WrongCharset", "not UTF-8 (application/fhir+json, no charset stated)", "EHR team: send UTF-8"),
        ("utf-16", "WrongCharset", "charset utf-16", "EHR team: send UTF-8"),
        ("utf-16-le", "WrongCharset", "charset utf-16le", "EHR team: send UTF-8"),
        ("xml", "NotJson", "application/fhir+xml that is not JSON", "Author: "),
        ("list", "NotJson", "JSON (application/json) that is not an object", "Author: "),
        ("empty", "NotJson", "answered with nothing", "Author: "),
        ("forbidden", "TenantRefused", "status 403", "Author: compare the tenant id"),
        ("missing", "NotFound", "status 404", "Author: baseURL must end where the FHIR API begins"),
        ("sign-in", "SignInDemanded", "status 401", "EHR team: let /metadata be read without one"),
        ("broken", "ServerError", "status 500", "EHR team"),
        ("busy", "ServerError", "status 429", "EHR team"),
        (
            "gzip",
            "AnswerCompressed",
            "compressed although that was not asked for",
            "EHR team: send answers uncompressed",
        ),
        ("half", "Unreachable", "the connection broke off", "EHR team: check that it is up"),
    ],
)
async def test_each_hostile_answer_is_one_condition_with_evidence_and_remedy(
    behaviour: str, reason: str, evidence: str, remedy: str, hospital: Hospital
) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr())}/{behaviour}")
    assert blamed(found) == (Type.METADATA_OK, reason)
    assert evidence in found[Type.METADATA_OK].message
    assert remedy in found[Type.METADATA_OK].message
    assert (found[Type.DNS_RESOLVED].status, found[Type.SMART_CONFIGURED].reason != "NotReached") == ("True", True)


async def test_a_byte_order_mark_is_no_fault(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr())}/bom")
    assert found[Type.METADATA_OK].status == "True"


async def test_a_redirect_to_a_sign_in_page_names_its_host_and_nothing_of_its_query(hospital: Hospital) -> None:
    ehr = Ehr(redirect_to="https://login.lamna.test")
    found = await judged(hospital.probes(), f"{await hospital.start(ehr)}/login")
    assert blamed(found) == (Type.METADATA_OK, "Redirected")
    assert "redirects to 'login.lamna.test' (status 302)" in found[Type.METADATA_OK].message
    assert "/login" not in ehr.paths
    assert hospital.resolved == [HOST]


async def test_a_gzip_bomb_is_never_unpacked(hospital: Hospital) -> None:
    started = time.process_time()
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr())}/bomb")
    assert blamed(found) == (Type.METADATA_OK, "AnswerCompressed")
    assert "could be of any size" in found[Type.METADATA_OK].message
    assert time.process_time() - started < 3


async def test_an_answer_of_a_hundred_megabytes_is_left_after_four(hospital: Hospital) -> None:
    ehr = Ehr()
    found = await judged(hospital.probes(), f"{await hospital.start(ehr)}/huge")
    assert blamed(found) == (Type.METADATA_OK, "AnswerTooLarge")
    assert "longer than 4194304 bytes, and was left there" in found[Type.METADATA_OK].message
    assert ehr.sent_bytes < HUGE_BYTES / 2


async def test_a_slow_drip_is_a_server_that_did_not_answer(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr())}/drip", timeout_s=0.4)
    assert blamed(found) == (Type.METADATA_OK, "Unreachable")
    assert "no complete answer in 0.4 s" in found[Type.METADATA_OK].message


async def test_an_expired_certificate_has_its_day(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), expired=True)}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "CertificateExpired")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert f"expired on {yesterday:%Y-%m-%d}. EHR team: renew it" in found[Type.TLS_TRUSTED].message


async def test_a_certificate_for_another_name_tells_its_names(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), name='other.lamna.test')}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "CertificateForOtherName")
    assert "is not for 'fhir.lamna.test', but for 'other.lamna.test'" in found[Type.TLS_TRUSTED].message


async def test_a_certificate_of_an_unknown_authority_tells_its_issuer(hospital: Hospital) -> None:
    ehr = Ehr()
    found = await judged(hospital.probes(), f"{await hospital.start(ehr, strange=True)}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "AuthorityNotTrusted")
    assert "of an authority that is not trusted (issued by '" in found[Type.TLS_TRUSTED].message
    assert "EHR_OPERATOR_CA_FILE" in found[Type.TLS_TRUSTED].message
    assert ehr.paths == [], "reading the certificate sends nothing"


async def test_a_self_signed_certificate_is_told_as_one(hospital: Hospital, tmp_path: Path) -> None:
    authority = trustme.CA()
    chain, key = tmp_path / "own.pem", tmp_path / "own-key.pem"
    authority.cert_pem.write_to_path(str(chain))
    authority.private_key_pem.write_to_path(str(key))
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), own=(chain, key))}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "AuthorityNotTrusted")
    assert "is self-signed" in found[Type.TLS_TRUSTED].message


async def test_a_certificate_that_is_not_valid_yet_points_to_the_clocks(hospital: Hospital, tmp_path: Path) -> None:
    authority = trustme.CA()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    certificate = authority.issue_cert(HOST, not_before=tomorrow, not_after=tomorrow + timedelta(days=90))
    chain, key, ca_file = tmp_path / "new.pem", tmp_path / "new-key.pem", hospital.ca.ca_file
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    ca_file.write_bytes(authority.cert_pem.bytes())
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), own=(chain, key))}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "CertificateNotYetValid")
    assert f"not valid before {tomorrow:%Y-%m-%d %H:%M} UTC" in found[Type.TLS_TRUSTED].message


@pytest.mark.parametrize(("days", "words"), [(20, "in less than 21 days"), (5, "in less than 7 days")])
async def test_a_certificate_about_to_expire_warns_and_fails_nothing(days: int, words: str, hospital: Hospital) -> None:
    end = datetime.now(UTC) + timedelta(days=days)
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), not_after=end)}/r4")
    assert {one.status for one in found.values()} == {"True"}
    assert found[Type.TLS_TRUSTED].reason == "CertificateExpiresSoon"
    assert f"expires on {end:%Y-%m-%d}, {words}. EHR team: renew it" in found[Type.TLS_TRUSTED].message


async def test_a_server_that_offers_tls_1_1_alone_is_told_what_to_enable(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start_old()}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "TlsVersionTooOld")
    assert "offers no TLS 1.2 or later" in found[Type.TLS_TRUSTED].message


async def test_a_server_without_tls_is_told_from_one_with_old_tls(hospital: Hospital) -> None:
    found = await judged(hospital.probes(), f"{await hospital.start(Ehr(), plain=True)}/r4")
    assert blamed(found) == (Type.TLS_TRUSTED, "NoTls")


@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254",
        "http://127.0.0.1",
        "https://[::1]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::169.254.169.254]",
        "https://[2002:a9fe:a9fe::1]",
        "https://metadata.google.internal",
        "file:///etc/passwd?",
        "gopher://10.0.0.1",
        "//10.0.0.1",
    ],
)
async def test_a_redirect_into_a_private_network_leads_nowhere(location: str, hospital: Hospital) -> None:
    ehr = Ehr(redirect_to=location)
    found = await judged(hospital.probes(), f"{await hospital.start(ehr)}/redirect")
    assert found[Type.METADATA_OK].status == "False"
    assert found[Type.METADATA_OK].reason in {"Redirected", "Unreachable"}
    assert hospital.resolved == [HOST], "nothing else was even looked up"


class Rebinding:
    """A name server whose owner changes the answer between two questions."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked += 1
        return [ip_address(self._answers[min(self.asked, len(self._answers)) - 1])]


async def test_a_name_that_changes_its_address_between_two_requests_of_a_look_changes_nothing(
    hospital: Hospital,
) -> None:
    ehr, resolve = Ehr(), Rebinding("127.0.0.1", "169.254.169.254")
    found = await judged(hospital.probes_with(resolve), f"{await hospital.start(ehr)}/r4")
    assert {one.status for one in found.values()} == {"True"}
    assert (resolve.asked, len(ehr.paths)) == (1, 2)


async def test_the_certificate_of_a_name_that_changes_its_address_is_read_where_it_was_refused(
    hospital: Hospital,
) -> None:
    resolve = Rebinding("127.0.0.1", "169.254.169.254")
    found = await judged(hospital.probes_with(resolve), f"{await hospital.start(Ehr(), name='other.lamna.test')}/r4")
    assert "'other.lamna.test'" in found[Type.TLS_TRUSTED].message
    assert resolve.asked == 1


async def test_a_name_that_moved_into_a_private_network_is_refused_at_the_next_look(hospital: Hospital) -> None:
    ehr, resolve = Ehr(), Rebinding("127.0.0.1", "169.254.169.254")
    base_url = f"{await hospital.start(ehr)}/r4"
    probes = hospital.probes_with(resolve)
    await judged(probes, base_url)
    asked = len(ehr.paths)
    found = await judged(probes, base_url)
    assert blamed(found) == (Type.DNS_RESOLVED, "AddressRefused")
    assert "leads to 169.254.169.254" in found[Type.DNS_RESOLVED].message
    assert "EHR_OPERATOR_ALLOWED_NETWORKS" in found[Type.DNS_RESOLVED].message
    assert len(ehr.paths) == asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
    ],
)
async def test_every_form_of_an_address_that_is_not_public_is_refused_before_a_connection(
    address: str, hospital: Hospital
) -> None:
    ehr = Ehr()
    origin = await hospital.start(ehr)
    seen = await hospital.probes(allowed=(), addresses=(address,)).observe(f"{origin}/r4", _TIMEOUT_S)
    assert seen.metadata.fetch is Fetch.ADDRESS_REFUSED
    assert ehr.paths == []


async def test_a_percentile_over_the_limit_is_told_with_its_number_of_looks(hospital: Hospital) -> None:
    base_url = f"{await hospital.start(Ehr())}/r4"
    slow: list[Any] = [0.1] * 18 + [9.0, 9.5]
    found = await judged(hospital.probes(), base_url, latencies=slow)
    assert (found[Type.LATENCY_OK].reason, found[Type.LATENCY_OK].status) == ("TooSlow", "False")
    assert "95th percentile of 20 looks" in found[Type.LATENCY_OK].message
