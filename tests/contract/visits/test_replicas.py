"""Several replicas on one PostgreSQL database: what one learns, the pages of all show."""

from __future__ import annotations

import asyncio
import html
import re

from contract.visits.acting import Chart, clinician_of, listening, opened, signed_in, until
from contract.visits.test_clinician import sign_in
from contract.visits.world import CLINICIAN, World

BEN = "5e0f3a10-0000-4000-8000-000000000012"
"""Another clinician of the stand-in."""


async def test_a_sign_in_at_one_replica_goes_on_in_a_frame_at_another(replicated: World) -> None:
    world = replicated
    other = await world.replica()
    chart = await opened(world, await world.patient(), **clinician_of(world))
    address = html.unescape(re.findall(r'data-stream="([^"]+)"', chart.page.text)[0])
    async with listening(chart.browser, other + address) as stream:
        await sign_in(world, chart.page)
        event = await stream.next()
        assert event is not None
        assert event[0] == "signed-in"


async def test_a_state_counts_once_at_all_replicas_together(replicated: World) -> None:
    world = replicated
    other = await world.replica()
    browser = world.browser()
    await browser.launch(await world.launch(await world.patient(), None))
    callback = next(one for one in browser.visited if "/launch/callback?" in one)
    page = await browser.open(callback.replace(world.connector, other))
    assert "This launch was used already" in page.text


async def test_what_one_replica_hears_of_a_visit_shows_on_a_page_of_another(replicated: World) -> None:
    world = replicated
    other = await world.replica(role="web")
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await signed_in(world, patient, visit["encounter"])
    address = f"{other}/clinician/{chart.url.rpartition('/')[2]}"
    assert (await chart.browser.open(address)).status_code == 200
    async with listening(chart.browser, chart.stream.replace(world.connector, other)) as stream:
        await stream.stage("not_sent")
        assert (await chart.press(chart.visits[0], "copied")).status_code == 204
        await stream.stage("link_sent")
        assert (await chart.press(chart.visits[0], "join")).status_code == 303
        (meeting,) = await world.meetings()
        await until(lambda: world.control(world.graph, "GET", "subscriptions"))
        path = f"meetings/{meeting['id']}/participants"
        waiting = await world.control(world.graph, "POST", path, json={"displayName": "Rosa"})
        assert (await stream.stage("in_lobby"))["alert"] is True
        await world.control(world.graph, "POST", path, json={"displayName": "Ada Okafor", "userId": CLINICIAN})
        await world.control(world.graph, "POST", f"{path}/{waiting['id']}/admit")
        assert (await stream.stage("in_visit"))["alert"] is False


async def test_two_clinicians_who_join_at_two_replicas_at_once_can_both_admit(replicated: World) -> None:
    world = replicated
    other = await world.replica(role="web")
    patient = await world.patient()
    visit = await world.book(patient)
    one = await signed_in(world, patient, visit["encounter"], user=CLINICIAN, **clinician_of(world))
    two = await signed_in(world, patient, visit["encounter"], user=BEN, **clinician_of(world))
    there = Chart(world, two.browser, two.url.replace(world.connector, other), two.page)
    await world.fault(world.graph, "onlineMeetings", method="PATCH", action="delay", delay_s=0.5)
    await asyncio.gather(one.press(one.visits[0], "join"), there.press(one.visits[0], "join"))
    (meeting,) = await world.meetings()
    assert {one["identity"]["user"]["id"] for one in meeting["attendees"]} == {CLINICIAN, BEN}
