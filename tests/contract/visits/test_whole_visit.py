"""A whole visit: the link in the EHR, the patient's page, the lobby, the clinician, the end, and what is left of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from contract.visits.acting import until
from contract.visits.test_clinician import ACTION, CSRF, sign_in
from contract.visits.world import CLINICIAN, World


async def test_a_visit_from_link_to_farewell(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)

    async def links() -> Any:
        return (await world.in_ehr(visit["id"]))["links"]

    written = await until(links)
    assert written["patient"] != written["provider"]
    assert max(map(len, (written["patient"], written["provider"]))) <= 255

    frame = world.browser()
    page = await frame.launch(await world.launch(patient, visit["encounter"]), record="lamna/lamna-test-provider")
    await sign_in(world, page)
    board = await frame.open(str(page.url))
    assert "Link not sent" in board.text

    phone = world.browser()
    shown = await phone.open(written["patient"])
    assert shown.status_code == 200
    assert "Clinic 4" in shown.text
    assert "Quillfeather" not in shown.text
    joined = await phone.submit(written["patient"] + "/join", follow=False)
    assert joined.status_code == 303, joined.text
    (meeting,) = await world.meetings()

    async def status() -> str:
        text = (await frame.open(str(page.url))).text
        return re.findall(r'data-field="text">([^<]+)<', text)[0]

    assert await status() == "Patient is joining"
    csrf = CSRF.findall(board.text)[0]
    (join,) = [action for action in ACTION.findall(board.text) if action.endswith("/join")]
    assert (await frame.submit(world.connector + join, follow=False, csrf=csrf)).status_code == 303

    async def listened_to() -> Any:
        return await world.control(world.graph, "GET", "subscriptions")

    await until(listened_to)
    path = f"meetings/{meeting['id']}/participants"
    waiting = await world.control(world.graph, "POST", path, json={"displayName": "Rosa Quillfeather"})
    assert await until(lambda: _is(status, "Patient is waiting in the lobby"))
    assert await until(lambda: _in_ehr(world, visit["id"], "arrived"))
    await world.control(world.graph, "POST", path, json={"displayName": "Ada Okafor", "userId": CLINICIAN})
    await world.control(world.graph, "POST", f"{path}/{waiting['id']}/admit")
    assert await until(lambda: _is(status, "Patient is in the visit"))
    await world.control(world.graph, "POST", f"{path}/{waiting['id']}/leave")
    assert await until(lambda: _is(status, "Patient left"))

    evidence = await world.evidence()
    (profile,) = evidence["profiles"]
    assert (profile["endpoint"], profile["providerLaunches"], profile["patientJoins"]) == ("lamna-test", 1, 1)
    assert [record["record"] for record in evidence["records"]] == ["lamna-test-provider"]


async def _is(status: Callable[[], Awaitable[str]], text: str) -> bool:
    return await status() == text


async def _in_ehr(world: World, appointment: str, status: str) -> bool:
    return (await world.in_ehr(appointment))["status"] == status
