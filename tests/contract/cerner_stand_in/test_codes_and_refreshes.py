"""What a code and a refresh token are good for: once, in time, and for their owner alone."""

from __future__ import annotations

from typing import Any

import pytest
from contract.cerner_stand_in.journey import (
    OTHER_APP,
    REDIRECT,
    Journey,
    journey_at,
    reason_of,
)
from contract.cerner_stand_in.running import (
    OTHER_TENANT,
    TENANT,
    Clock,
    Starter,
)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"code": "made-up"}, "invalid_grant", "code"),
        ({"code": None}, "invalid_grant", "code"),
        ({"client_id": OTHER_APP}, "invalid_grant", "code"),
        ({"client_id": "nobody"}, "invalid_client", "app-unknown"),
        ({"client_id": None}, "invalid_client", "app-unknown"),
        ({"redirect_uri": f"{REDIRECT}/"}, "invalid_grant", "redirect-different"),
        ({"redirect_uri": None}, "invalid_grant", "redirect-different"),
        ({"code_verifier": "another"}, "invalid_grant", "verifier"),
        ({"code_verifier": None}, "invalid_grant", "verifier"),
    ],
)
async def test_a_code_is_for_its_client_address_and_verifier_alone(
    journey: Journey, changes: dict[str, Any], error: str, reason: str
) -> None:
    answer = await journey.exchange(await journey.code(), **changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert reason_of(answer.json()["error_uri"]) == reason


async def test_a_code_is_good_once(journey: Journey) -> None:
    code = await journey.code()
    first, second = [await journey.exchange(code) for _ in range(2)]

    assert (first.status_code, second.status_code) == (200, 400)
    assert second.json()["error"] == "invalid_grant"


async def test_a_wrong_verifier_uses_the_code_up(journey: Journey) -> None:
    code = await journey.code()
    await journey.exchange(code, code_verifier="wrong")

    assert (await journey.exchange(code)).json()["error"] == "invalid_grant"


async def test_a_code_lives_a_minute(journey: Journey, clock: Clock) -> None:
    code, other = await journey.code(), await journey.code()
    clock.advance(seconds=59)
    in_time = await journey.exchange(code)
    clock.advance(seconds=1)
    late = await journey.exchange(other)

    assert (in_time.status_code, late.json()["error"]) == (200, "invalid_grant")


async def test_a_code_of_one_tenant_is_unknown_at_another(journey: Journey) -> None:
    code = await journey.code()
    journey.token = journey.token.replace(TENANT, OTHER_TENANT)

    assert (await journey.exchange(code)).json()["error"] == "invalid_grant"


async def test_a_refresh_gives_a_new_access_token_and_no_new_refresh_token(journey: Journey) -> None:
    tokens = await journey.tokens()
    answer = await journey.refresh(tokens["refresh_token"])

    assert answer.status_code == 200
    assert answer.json()["access_token"] != tokens["access_token"]
    assert {"refresh_token", "id_token"}.isdisjoint(answer.json())
    assert answer.json()["expires_in"] == 570


async def test_a_refresh_may_ask_for_less_and_never_for_more(journey: Journey) -> None:
    token = (await journey.tokens())["refresh_token"]
    less = await journey.refresh(token, scope="user/Patient.read")
    more = await journey.refresh(token, scope="user/Location.read")

    assert less.json()["scope"] == "user/Patient.read"
    assert (more.status_code, more.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"client_id": OTHER_APP}, "invalid_grant"), ({"refresh_token": "made-up"}, "invalid_grant")],
)
async def test_a_refresh_token_is_its_clients_alone(journey: Journey, changes: dict[str, str], error: str) -> None:
    token = (await journey.tokens())["refresh_token"]

    assert (await journey.refresh(token, **changes)).json()["error"] == error


async def test_online_access_ends_with_the_session_and_offline_access_does_not(journey: Journey) -> None:
    online = (await journey.tokens())["refresh_token"]
    offline = (await journey.tokens(scope="launch offline_access user/Patient.read"))["refresh_token"]
    assert (await journey.cerner.http.delete("/_sandbox/sessions")).status_code == 204

    assert (await journey.refresh(online)).json()["error"] == "invalid_grant"
    assert (await journey.refresh(offline)).status_code == 200


async def test_a_refresh_more_than_once_a_minute_is_throttled_where_that_is_switched_on(
    start_cerner: Starter, clock: Clock
) -> None:
    journey = await journey_at(await start_cerner(throttle_refresh=True))
    token = (await journey.tokens())["refresh_token"]
    clock.advance(seconds=20)
    soon = await journey.refresh(token)
    clock.advance(seconds=40)
    later = await journey.refresh(token)

    assert (soon.status_code, soon.headers["retry-after"]) == (429, "40")
    assert later.status_code == 200
