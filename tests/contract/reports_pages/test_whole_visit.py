"""A whole visit, from the link to the farewell, is in the report a moment later."""

from __future__ import annotations

import re
from pathlib import Path

from contract.reports_pages.conftest import running_readers
from contract.reports_pages.reading import MANAGER, around_today, opened, reader
from contract.visits.acting import until
from contract.visits.test_whole_visit import test_a_visit_from_link_to_farewell as play_a_visit

from ehr_sandbox.local_ca import LocalCA

COMPLETED = re.compile(r'<th scope="row"><bdi>Completed</bdi></th><td class="number"><bdi>(\d+)</bdi>')


async def test_a_visit_that_took_place_is_completed_in_the_report(tmp_path: Path, ca: LocalCA) -> None:
    async with running_readers(tmp_path, ca) as world:
        await play_a_visit(world)
        (meeting,) = await world.meetings()
        await world.control(world.graph, "POST", f"meetings/{meeting['id']}/end")
        browser = await reader(world, MANAGER)

        async def completed() -> bool:
            page = await opened(world, browser, f"consumption?{around_today()}&environment=Test")
            return COMPLETED.findall(page.text) == ["1"]

        assert await until(completed, seconds=30)
