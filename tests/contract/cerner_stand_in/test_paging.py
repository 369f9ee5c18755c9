"""Pages: a walk along the links sees everything, and links are good for a while only."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from contract.cerner_stand_in.running import (
    CLINICS,
    EVERYTHING,
    OTHER_TENANT,
    TENANT,
    CernerStandIn,
    Clock,
    Starter,
    ids_of,
    links_of,
    outcome_of,
)

ALL = [("location", CLINICS), *EVERYTHING]


@pytest.mark.parametrize(("count", "most"), [(None, 50), (40, 40), (100, 100), (5000, 100)])
async def test_a_walk_along_the_links_sees_every_appointment(
    cerner: CernerStandIn, count: int | None, most: int
) -> None:
    items = [*ALL, ("_count", str(count))] if count else ALL
    pages = await cerner.walk("Appointment", items)

    assert len({id_ for page in pages for id_ in ids_of(page)}) == 2000
    assert {len(ids_of(page)) for page in pages[:-1]} == {most}
    assert 0 < len(ids_of(pages[-1])) <= most


async def test_the_last_entry_of_a_page_comes_again_on_the_next(cerner: CernerStandIn) -> None:
    first, second, *_ = [ids_of(page) for page in await cerner.walk("Appointment", ALL)]

    assert first[-1] == second[0]


async def test_pages_of_one_entry_get_on(cerner: CernerStandIn) -> None:
    pages = await cerner.walk("Location", [("address-state", "IL"), ("_count", "1")])

    assert [len(ids_of(page)) for page in pages] == [1] * 6
    assert len({ids_of(page)[0] for page in pages}) == 6


async def test_there_is_a_way_back(cerner: CernerStandIn) -> None:
    pages = await cerner.walk("Location", [("address-state", "IL"), ("_count", "3")])
    back = await cerner.http.get(links_of(pages[1])["previous"], headers=await cerner.bearer())

    assert "previous" not in links_of(pages[0])
    assert ids_of(back.json()) == ids_of(pages[0])


@pytest.mark.parametrize(
    ("kind", "items", "size"), [("Patient", [("gender", "male"), ("birthdate", "ge1900-01-01")], 20)]
)
async def test_each_resource_has_its_usual_size_of_page(
    cerner: CernerStandIn, kind: str, items: list[tuple[str, str]], size: int
) -> None:
    assert len(ids_of((await cerner.get(kind, items)).json())) == size


async def test_a_link_to_a_page_says_nothing_of_the_search(cerner: CernerStandIn) -> None:
    following = links_of((await cerner.get("Appointment", ALL)).json())["next"]

    assert following.startswith(f"{cerner.url}/r4/{TENANT}/Appointment?")
    assert set(parse_qs(urlsplit(following).query)) == {"-pageContext", "-pageDirection"}
    assert not any(value in following for _, value in ALL)


async def test_a_bundle_has_no_total(cerner: CernerStandIn) -> None:
    assert "total" not in (await cerner.get("Appointment", ALL)).json()


async def test_a_link_to_a_page_expires(start_cerner: Starter, clock: Clock) -> None:
    cerner = await start_cerner(page_life_s=60)
    following = links_of((await cerner.get("Appointment", ALL)).json())["next"]
    headers = await cerner.bearer()
    clock.advance(seconds=59)
    in_time = await cerner.http.get(following, headers=headers)
    clock.advance(seconds=1)
    late = await cerner.http.get(following, headers=headers)

    assert in_time.status_code == 200
    assert outcome_of(late) == (400, "invalid")


@pytest.mark.parametrize(
    ("old", "new", "tenant"),
    [
        ("pageContext=", "pageContext=x", TENANT),
        ("/Appointment?", "/Patient?", TENANT),
        (TENANT, OTHER_TENANT, OTHER_TENANT),
    ],
)
async def test_a_link_that_was_changed_is_refused(cerner: CernerStandIn, old: str, new: str, tenant: str) -> None:
    following = links_of((await cerner.get("Appointment", ALL)).json())["next"]
    answer = await cerner.http.get(following.replace(old, new), headers=await cerner.bearer(tenant=tenant))

    assert outcome_of(answer) == (400, "invalid")


async def test_a_link_needs_a_token(cerner: CernerStandIn) -> None:
    following = links_of((await cerner.get("Appointment", ALL)).json())["next"]

    assert outcome_of(await cerner.http.get(following)) == (401, "login")
