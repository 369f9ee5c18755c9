"""Everything breaks, in an order that a seed decides; then it is left alone, and all must be as if nothing had been."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos.control_wire import ControlWire
from chaos.troubles import Trouble, Troubles
from chaos.wire import Wire

from ehr_api.meta import REQUESTED_AT
from ehr_sandbox.demo.layout import NAMESPACE
from ehr_sandbox.demo.play import apply, ledger_of, records_written, resources_ready
from ehr_sandbox.demo.report import StepFailedError
from ehr_sandbox.demo.system import System

_SAMPLE_S = 1.0
_EACH_OF_A_SHORT_LANE_S = 60.0
"""In this time each trouble of a lane of six has begun, however the dice fall."""
_ALL = "smsnumbers,fhirendpoints,ehrconnectorconfigs"


@pytest.mark.timeout(600)
async def test_after_chaos_all_is_ready_with_one_number_and_the_same_records(
    system: System, wire: Wire, control_wire: ControlWire, seed: int, seconds: float, tmp_path: Path
) -> None:
    dice = Random(seed)
    troubles = Troubles(system, wire, control_wire, dice, tmp_path)
    records = Records(system)
    watching = asyncio.create_task(records.watch())
    try:
        await _break(troubles, dice, seconds)
        await troubles.from_git()
        await _look_again(system)
        await resources_ready(system)
        await records_written(system)
        await records.sample()
        await _check(system, records)
    except BaseException as exc:
        exc.add_note(f"EHR_CHAOS_SEED={seed} EHR_CHAOS_SECONDS={seconds:g}")
        exc.add_note("\n".join(troubles.diary))
        exc.add_note(system.logs())
        raise
    finally:
        watching.cancel()


async def _break(troubles: Troubles, dice: Random, seconds: float) -> None:
    """Bring trouble in four lanes at a time, while the resources are applied."""
    of_the_connector = troubles.of_the_connector()
    lanes = (troubles.of_the_cluster(), troubles.of_the_remotes(), troubles.of_the_operator(), of_the_connector)
    running = [asyncio.create_task(_lane(lane, troubles, Random(dice.random()), seconds)) for lane in lanes]
    await troubles.from_git()
    await asyncio.gather(*running)
    if seconds >= _EACH_OF_A_SHORT_LANE_S:
        assert all(any(name in line for line in troubles.diary) for name in of_the_connector)


async def _lane(lane: Mapping[str, Trouble], troubles: Troubles, dice: Random, seconds: float) -> None:
    """Bring each trouble of a lane, in random order and one after the other, then all of them again."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    deck: list[str] = []
    while loop.time() - began_s < seconds:
        deck = deck or dice.sample(sorted(lane), len(lane))
        await asyncio.sleep(dice.uniform(0.0, 2.0 + 8.0 / len(lane)))  # a short lane is no busier than a long one
        name, lasts_s = deck.pop(), dice.uniform(0.5, 6.0)
        troubles.diary.append(f"{loop.time() - began_s:5.1f} s: {name} ({lasts_s:.1f} s)")
        await lane[name](lasts_s)


class Records:
    """Every IntegrationRecord as it was ever seen: what an EHR admin may have copied."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._seen: dict[str, set[str]] = {}
        self._last: dict[str, str] = {}

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            with suppress(StepFailedError, json.JSONDecodeError):
                await self.sample()
            await asyncio.sleep(_SAMPLE_S)

    async def sample(self) -> None:
        """Look once."""
        for record in await self._system.kubectl.items("integrationrecords", NAMESPACE):
            name = record["metadata"]["name"]
            self._last[name] = json.dumps(record["spec"])
            self._seen.setdefault(name, set()).add(self._last[name])

    def changed(self) -> dict[str, list[str]]:
        """Return each record that was ever seen otherwise than it is now, but for the sender that was not known yet."""
        found: dict[str, list[str]] = {}
        for name, versions in self._seen.items():
            texts = "senderNumber" in self._last[name]
            others = [one for one in versions - {self._last[name]} if not texts or "senderNumber" in one]
            if others:
                found[name] = [*others, self._last[name]]
        return found

    @property
    def names(self) -> list[str]:
        """Return what there is."""
        return sorted(self._last)


async def _look_again(system: System) -> None:
    """Do as the guide for those on call says: what was mended outside need not wait for the end of a back-off."""
    await system.kubectl("annotate", _ALL, "--all", "-n", NAMESPACE, "--overwrite", f"{REQUESTED_AT}=after-the-chaos")


async def _check(system: System, records: Records) -> None:
    ledger = await ledger_of(system)
    (bought,) = ledger["purchases"]
    assert (ledger["purchasesRefused"], ledger["releases"]) == ([], [])
    (number,) = await system.kubectl.items("smsnumbers", NAMESPACE)
    assert number["status"]["phoneNumber"] == bought["phoneNumber"]
    async with system.http() as http:
        state = (await http.get(f"{system.layout.acs_url}/_sandbox/state")).json()
    assert state["owned"] == [bought["phoneNumber"]]
    assert records.changed() == {}
    assert records.names == await records_written(system)
    before = _of_numbers(await ledger_of(system))
    await apply(system)
    await resources_ready(system)
    assert _of_numbers(await ledger_of(system)) == before


def _of_numbers(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was done about numbers: reminders of the EHR's own appointments go out whenever they are due."""
    return {name: entries for name, entries in ledger.items() if name not in {"texts", "emails"}}
