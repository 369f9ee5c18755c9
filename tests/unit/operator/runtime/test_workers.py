"""Servers that hang do not hold up the objects of others, and are not pressed harder for being slow."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import Widget, WidgetKind, WidgetStatus, fits, widget_body

from ehr_operator.runtime.model import Outcome
from ehr_operator.runtime.workers import ASIDE, SLOW_S

HANG_S = 100.0
QUICK_S = 0.1


class Hosts:
    """Reconciles by asking the host of a widget, some of which hang."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.most = 0
        """The most reconciles at one host at a time."""

    async def ask(self, obj: Widget) -> Outcome[WidgetStatus]:
        host = obj.spec.host or ""
        self.asked[host] += 1
        self.most = max(self.most, self.asked[host])
        await asyncio.sleep(HANG_S if host.startswith("dead") else QUICK_S)
        self.asked[host] -= 1
        return fits()


@pytest.fixture
def hosts(kind: WidgetKind) -> Hosts:
    hosts = Hosts()
    kind.step = hosts.ask
    return hosts


async def time_until_all_fit(kube: MemoryKube, names: list[str]) -> float:
    """Return the seconds until all widgets of these names are reported to fit."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    wanted = set(names)
    while wanted - {key.name for key, body in kube.bodies.items() if "status" in body}:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.05)
    return loop.time() - began_s


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("dead_hosts", [1, 100])
async def test_one_hanging_object_in_ten_slows_the_others_by_less_than_a_tenth_once_it_is_known(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind, dead_hosts: int
) -> None:
    kind.workers = 32
    alive = [f"alive-{number}" for number in range(900)]
    dead = [f"dead-{number}" for number in range(100)]
    everyone = [name for nine in range(100) for name in (dead[nine], *alive[9 * nine : 9 * nine + 9])]
    hosts = dict.fromkeys(alive, "alive") | {name: f"dead-{at % dead_hosts}" for at, name in enumerate(dead)}
    alone_s = 900 / kind.workers * QUICK_S
    start()

    keys = [kube.put(widget_body(name, spec={"host": hosts[name]})) for name in everyone]
    first_look_s = await time_until_all_fit(kube, alive)
    await asyncio.sleep(4 * HANG_S)
    for key in keys:
        kube.bodies[key].pop("status")
        kube.change(key, spec={"size": 2})
    second_look_s = await time_until_all_fit(kube, alive)

    assert first_look_s < 1.1 * (alone_s + 100 * SLOW_S / kind.workers)
    assert second_look_s < 1.1 * alone_s


@pytest.mark.usefixtures("process", "hosts")
async def test_an_object_that_was_slow_the_last_time_takes_no_place_the_next_time(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.workers = 1
    dead = kube.put(widget_body("dead", spec={"host": "dead"}))
    await asyncio.sleep(HANG_S + 1.0)

    kube.change(dead, spec={"size": 2})
    await asyncio.sleep(QUICK_S)
    kube.put(widget_body("alive", spec={"host": "alive"}))

    assert await time_until_all_fit(kube, ["alive"]) < 0.8 * SLOW_S


@pytest.mark.usefixtures("process")
async def test_a_slow_host_is_asked_no_more_at_a_time_than_there_are_workers(
    kube: MemoryKube, kind: WidgetKind, hosts: Hosts
) -> None:
    for number in range(100):
        kube.put(widget_body(f"dead-{number}", spec={"host": "dead"}))
    await asyncio.sleep(HANG_S)

    assert hosts.most == kind.workers


@pytest.mark.usefixtures("process")
async def test_when_nearly_everything_hangs_what_is_under_way_is_bounded_and_goes_on(
    kube: MemoryKube, kind: WidgetKind, hosts: Hosts
) -> None:
    kind.workers = 2
    for number in range(100):
        kube.put(widget_body(f"dead-{number}", spec={"host": f"dead-{number}"}))
    await asyncio.sleep(HANG_S / 2)
    under_way = sum(hosts.asked.values())
    kube.put(widget_body("alive", spec={"host": "alive"}))

    assert under_way == kind.workers * (1 + ASIDE)
    assert await time_until_all_fit(kube, ["alive"]) < 10 * HANG_S
