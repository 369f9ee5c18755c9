"""One request, one answer within limits, or an error that says what to do and tells nobody's secrets."""

from __future__ import annotations

import logging
import re
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from unit.clients.conftest import CANARY, Server

from ehr_clients import limits
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.http import Answer, CompressedError, TooLargeError, check, exchange, parse, retry_after_s
from ehr_sandbox.fault_rules import FaultRule

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NAMES: Any = {"system": "FHIR server", "operation": "read CapabilityStatement"}


def answer_of(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(
        **NAMES,
        status=status,
        headers=httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}),
        body=body,
        elapsed_s=0.1,
        certificate_expiry=None,
    )


async def test_an_answer_is_read_whole_whatever_its_status(server: Server, http: httpx.AsyncClient) -> None:
    answer = await exchange(http, server.request("/status/418"), **NAMES)

    assert (answer.status, answer.body) == (418, b'{"error":"%s"}' % CANARY.encode())
    assert 0 < answer.elapsed_s < 10
    assert answer.certificate_expiry is None


async def test_the_media_type_has_no_parameters_and_one_case(server: Server, http: httpx.AsyncClient) -> None:
    assert (await exchange(http, server.request("/hello"), **NAMES)).media_type == "application/fhir+json"


async def test_compressed_answers_are_not_asked_for(server: Server, http: httpx.AsyncClient) -> None:
    await exchange(http, http.build_request("GET", f"{server.url}/hello"), **NAMES)

    assert server.seen[0]["accept-encoding"] == "identity"


async def test_an_answer_that_is_compressed_all_the_same_is_refused(server: Server, http: httpx.AsyncClient) -> None:
    with pytest.raises(CompressedError, match="compressed although that was not asked for"):
        await exchange(http, server.request("/compressed"), **NAMES)


async def test_an_answer_up_to_the_limit_is_read(server: Server, http: httpx.AsyncClient) -> None:
    assert len((await exchange(http, server.request("/big"), **NAMES, max_bytes=2000)).body) == 2000


@pytest.mark.parametrize("path", ["/big", "/endless"])
async def test_reading_ends_where_an_answer_gets_too_long(path: str, server: Server, http: httpx.AsyncClient) -> None:
    with pytest.raises(TooLargeError, match="longer than 1999 bytes"):
        await exchange(http, server.request(path), **NAMES, max_bytes=1999)


async def test_a_late_answer_is_given_up_and_may_have_been_carried_out(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="delay", delay_s=20))

    with pytest.raises(TemporaryError, match=r"no complete answer in 0\.2 s") as caught:
        await exchange(http, server.request("/hello"), **NAMES, timeout_s=0.2)

    assert caught.value.ambiguous


async def test_an_answer_that_drips_is_given_up_in_the_same_time(server: Server, http: httpx.AsyncClient) -> None:
    started = time.monotonic()

    with pytest.raises(TemporaryError, match=r"no complete answer in 0\.3 s"):
        await exchange(http, server.request("/endless"), **NAMES, timeout_s=0.3)

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("action", ["cut", "lose_answer", "half_answer"])
async def test_a_connection_that_breaks_after_the_request_leaves_open_whether_it_was_carried_out(
    action: Any, server: Server, http: httpx.AsyncClient
) -> None:
    server.fault(FaultRule(action=action))

    with pytest.raises(TemporaryError) as caught:
        await exchange(http, server.request("/hello"), **NAMES)

    assert caught.value.ambiguous
    assert caught.value.retry_after_s is None


async def test_a_connection_that_is_refused_has_carried_nothing_out(
    closed_port_url: str, http: httpx.AsyncClient
) -> None:
    with pytest.raises(TemporaryError, match="connection refused") as caught:
        await exchange(http, httpx.Request("GET", closed_port_url), **NAMES)

    assert not caught.value.ambiguous


async def test_nothing_is_sent_twice(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="lose_answer"))

    with pytest.raises(TemporaryError):
        await exchange(http, server.request("/hello", "POST"), **NAMES)

    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_counts_as_refused(
    status: int, server: Server, http: httpx.AsyncClient
) -> None:
    answer = await exchange(http, server.request(f"/redirect/{status}"), **NAMES)

    with pytest.raises(RefusedError) as caught:
        check(answer)

    assert caught.value.status == status
    assert server.seen == []


async def test_too_many_requests_says_when_to_come_again(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="status", status=429, retry_after_s=7))
    answer = await exchange(http, server.request("/hello"), **NAMES)

    with pytest.raises(TemporaryError) as caught:
        check(answer)

    assert caught.value.retry_after_s == 7
    assert not caught.value.ambiguous


async def test_the_time_to_come_again_may_be_a_date(server: Server, http: httpx.AsyncClient) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    answer = await exchange(http, server.request("/status/503", **{"x-retry-after": date}), **NAMES)

    with pytest.raises(TemporaryError) as caught:
        check(answer)

    assert caught.value.retry_after_s == pytest.approx(120, abs=15)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_of_success_lets_the_answer_through(status: int) -> None:
    answer = answer_of(status)

    assert check(answer) is answer


@pytest.mark.parametrize(
    ("status", "ambiguous"),
    [(408, False), (425, False), (429, False), (500, True), (502, True), (503, True), (504, True)],
)
def test_a_status_that_asks_to_try_again_is_temporary_and_ambiguous_from_500_on(status: int, ambiguous: bool) -> None:
    with pytest.raises(TemporaryError, match=f"status {status}$") as caught:
        check(answer_of(status))

    assert caught.value.ambiguous is ambiguous
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 405, 409, 410, 412, 415, 422, 451])
def test_any_other_status_is_a_refusal(status: int) -> None:
    with pytest.raises(RefusedError, match=re.escape(f"status {status} (invalid_client)")) as caught:
        check(answer_of(status), code="invalid_client")

    assert (caught.value.status, caught.value.code) == (status, "invalid_client")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("99999999999", limits.RETRY_AFTER_MAX_S),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Sat, 31 Jan 2026 12:01:00 GMT", 60),
        ("Saturday, 31-Jan-26 12:01:00 GMT", 60),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 31 Jan 2099 12:00:00 GMT", limits.RETRY_AFTER_MAX_S),
        ("Sat, 31 Jan 2026 25:00:00 GMT", None),
        ("Sat, 31 Foo 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds_and_nonsense_is_none(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, now=NOW) == seconds


class Person(BaseModel):
    """A body with a field that holds personal data."""

    name: str
    count: int


def test_a_body_of_the_promised_shape_is_parsed() -> None:
    assert parse(answer_of(200, b'{"name": "x", "count": 3, "new": true}'), Person) == Person(name="x", count=3)


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (b'{"name": "Nancy-Smart-1990", "count": "three"}', "count"),
        (b'{"count": 3}', "name"),
        (b'{"name": ["Nancy-Smart-1990"]}', "count, name"),
        (b'["Nancy-Smart-1990"]', "the whole body"),
        (b"<html>Nancy-Smart-1990</html>", "the whole body"),
        (b"", "the whole body"),
        (b"\xff\xfe", "the whole body"),
    ],
)
def test_an_unexpected_body_is_told_by_its_fields_and_never_by_a_value(body: bytes, places: str) -> None:
    with pytest.raises(ContractError, match=f": unexpected body at: {places}$") as caught:
        parse(answer_of(200, body), Person)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


async def _too_long(server: Server, http: httpx.AsyncClient) -> None:
    await exchange(http, server.request("/big"), **NAMES, max_bytes=10)


async def _compressed(server: Server, http: httpx.AsyncClient) -> None:
    await exchange(http, server.request("/compressed"), **NAMES)


async def _late(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="delay", delay_s=20))
    await exchange(http, server.request("/hello"), **NAMES, timeout_s=0.1)


async def _cut(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="cut"))
    await exchange(http, server.request("/hello"), **NAMES)


async def _half(server: Server, http: httpx.AsyncClient) -> None:
    server.fault(FaultRule(action="half_answer"))
    await exchange(http, server.request("/hello"), **NAMES)


async def _no_server(_server: Server, http: httpx.AsyncClient) -> None:
    await exchange(http, httpx.Request("GET", f"http://127.0.0.1:1/?name={CANARY}"), **NAMES)


async def _not_a_url(_server: Server, http: httpx.AsyncClient) -> None:
    await exchange(http, httpx.Request("GET", f"gopher://127.0.0.1/?name={CANARY}"), **NAMES)


async def _refused(server: Server, http: httpx.AsyncClient) -> None:
    check(await exchange(http, server.request("/status/403"), **NAMES))


async def _failed(server: Server, http: httpx.AsyncClient) -> None:
    check(await exchange(http, server.request("/status/500"), **NAMES))


async def _redirected(server: Server, http: httpx.AsyncClient) -> None:
    check(await exchange(http, server.request("/redirect/302"), **NAMES))


async def _unexpected(server: Server, http: httpx.AsyncClient) -> None:
    parse(await exchange(http, server.request("/hello"), **NAMES), Person)


@pytest.mark.parametrize(
    "failure",
    [
        _too_long, _compressed, _late, _cut, _half, _no_server, _not_a_url, _refused, _failed, _redirected, _unexpected,
    ],
)  # fmt: skip
async def test_an_error_names_system_and_operation_and_holds_neither_url_nor_body(
    failure: Any, server: Server, http: httpx.AsyncClient
) -> None:
    with pytest.raises(RemoteError) as caught:
        await failure(server, http)

    message = str(caught.value)
    assert message.startswith("FHIR server: read CapabilityStatement: ")
    assert CANARY not in f"{message} {caught.value!r} {vars(caught.value)}"
    assert "127.0.0.1" not in message


async def test_the_printed_form_of_an_answer_holds_no_header_and_no_body(
    server: Server, http: httpx.AsyncClient
) -> None:
    answer = await exchange(http, server.request("/hello"), **NAMES)

    assert CANARY in answer.body.decode()
    assert CANARY not in repr(answer)
    assert "content-type" not in repr(answer)


async def test_this_package_writes_no_log(
    server: Server, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """What httpx itself logs (whole URLs at INFO) the programs switch off."""
    caplog.set_level(logging.DEBUG)

    with pytest.raises(RefusedError):
        check(await exchange(http, server.request("/status/403"), **NAMES))

    assert [record for record in caplog.records if record.name.startswith("ehr_clients")] == []
