"""Names, addresses and devices that can be recognised are in the records; then everything is searched for them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contract.call_quality.running import PATIENT, Hospital
from contract.graph_stand_in.running import GraphStandIn
from prometheus_client import generate_latest

from ehr_connector.store.schema import metadata
from ehr_program.logs import log_as_json

CLINICIAN_NAME = "Ada Okafor"
PLANTED = [
    *(PATIENT, CLINICIAN_NAME, f"{PATIENT}'s device", f"{PATIENT}'s earphones", f"{PATIENT} was hard to hear"),
    *("203.0.113.", "198.51.100.", "00-00-5E-00-53-01", "home.example", "Stand-in wireless adapter"),
]
KEPT = "Zebedeelabrador-kept"
"""What the search must find in a table and a log line, so that its silence about people means something."""


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """All that the program would log at DEBUG; what the simulator says of itself is not the program's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    log_as_json("DEBUG")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.addFilter(lambda record: not record.name.startswith("ehr_sandbox"))
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)


async def shown_by_graph(graph: GraphStandIn) -> str:
    """Everything that Graph tells of the calls."""
    listed = (await graph.call("GET", "/v1.0/communications/callRecords")).json()["value"]
    shown: list[str] = []
    for record in listed:
        for expand in ("sessions($expand=segments)", "participants_v2"):
            path = f"/v1.0/communications/callRecords/{record['id']}"
            shown.append((await graph.call("GET", path, params={"$expand": expand})).text)
    return "".join(shown)


def files_of(folder: Path) -> bytes:
    """Return what the database's files hold."""
    return b"".join(path.read_bytes() for path in folder.glob("connector.sqlite3*"))


async def kept(hospital: Hospital, folder: Path) -> dict[str, bytes]:
    """Everything that the connector keeps and tells, by where."""
    tables: list[Any] = [row for table in metadata.sorted_tables for row in await hospital.rows(table)]
    return {
        "tables": f"{tables}".encode(),
        "files": files_of(folder),
        "metrics": generate_latest(hospital.metrics.registry),
    }


async def test_nobody_in_a_record_and_nothing_of_theirs_is_found_anywhere(
    small: Hospital, logs: io.StringIO, tmp_path: Path
) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.fault("/callRecords/", action="half_answer", nth=3)
    await small.play(visit.visit, guests=2)
    await small.play("no visit")
    await small.told(2)
    await small.fetch()
    small.ahead += timedelta(minutes=11)
    await small.fetch()
    (told,) = {leg.call for leg in await small.legs()}
    records = await shown_by_graph(small.graph)
    logging.getLogger("ehr_connector.planted").debug("a line with %s", KEPT)
    await small.configure("second", displayName=KEPT)

    assert all(one in records for one in PLANTED)
    ids = [one["id"] for one in (await small.graph.call("GET", "/v1.0/communications/callRecords")).json()["value"]]
    places = {**await kept(small, tmp_path), "logs": logs.getvalue().encode()}

    assert {where for where, content in places.items() if KEPT.encode() in content} == {"tables", "files", "logs"}
    assert {(where, one) for where, content in places.items() for one in PLANTED if one.encode() in content} == set()
    assert len(told) == 43
    assert not any(one.encode() in places[where] for one in ids for where in ("tables", "logs", "metrics"))
