"""Graph's calls on call records."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.meeting import Call as MeetingCall
from ehr_sandbox.graph.meeting import Meeting
from ehr_sandbox.graph.notify.courier import Courier
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.records.record import CallRecord, Quality
from ehr_sandbox.graph.rest.gate import Call, Gate, graph_json
from ehr_sandbox.graph.times import time_of

_KEPT = timedelta(days=30)
_SESSIONS_A_PAGE = 60
_PARTICIPANTS_A_PAGE = 130
_RECORDS_A_PAGE = 60
_PAGE_SIZE = re.compile(r"odata\.maxpagesize=(\d+)")
_TIME_TERM = re.compile(r"startDateTime (ge|gt|le|lt) (\S+)")
_PERSON_TERM = re.compile(r"participants_v2/any\((\w+):\1/id eq '([^']+)'\)")

Announce = Callable[[str, str, str], None]
"""Gets tenant, record and change."""


class CallRecords:
    """All call records, and the handlers."""

    def __init__(self, platform: Platform, courier: Courier, announce: Announce) -> None:
        self._platform = platform
        self._courier = courier
        self._announce = announce
        self._all: dict[str, CallRecord] = {}

    def routes(self, gate: Gate) -> list[Route]:
        """Return the routes."""
        records, allowed = "/communications/callRecords", ("CallRecords.Read.All",)
        return [
            *gate.routes("GET", records, self._list, application=allowed),
            *gate.routes("GET", f"{records}/{{record}}", self._get, application=allowed),
            *gate.routes("GET", f"{records}/{{record}}/sessions", self._sessions, application=allowed),
        ]

    def write(self, meeting: Meeting, call: MeetingCall) -> None:
        """Write the record of a call that has ended, some time from now."""
        self._courier.later(self._write(meeting, call))

    def revise(self, record_id: str, quality: Quality | None = None) -> CallRecord | None:
        """Bring out a record's next version, as Microsoft does when more data has come in."""
        record = self._all.get(record_id)
        if record is not None:
            record.version += 1
            record.modified = self._platform.now()
            record.quality = quality or record.quality
            self._announce(record.meeting.tenant, record.id, "updated")
        return record

    async def _write(self, meeting: Meeting, call: MeetingCall) -> None:
        await asyncio.sleep(self._platform.behaviour.call_record_after_s)
        now = self._platform.now()
        self._all[call.id] = CallRecord(meeting, call, call.ended or now, now, self._platform.behaviour.call_quality)
        self._announce(meeting.tenant, call.id, "created")

    def _kept(self, call: Call) -> list[CallRecord]:
        oldest = self._platform.now() - _KEPT
        return [
            record
            for record in self._all.values()
            if record.meeting.tenant == call.caller.tenant.id and record.ended >= oldest
        ]

    def _found(self, call: Call) -> CallRecord:
        wanted = call.request.path_params["record"]
        for record in self._kept(call):
            if record.id == wanted:
                return record
        raise GraphError(404, "NotFound", f"The call record '{wanted}' was not found.")

    async def _get(self, call: Call) -> Response:
        record = self._found(call)
        shown = record.to_wire(call.caller.tenant, call.address)
        expand = call.request.query_params.get("$expand", "").replace(" ", "")
        if expand not in {"", "sessions", "participants_v2", "sessions($expand=segments)"}:
            raise bad_request("'$expand' takes 'participants_v2', 'sessions' or 'sessions($expand=segments)'.")
        if expand.startswith("sessions"):
            with_segments = expand != "sessions"
            _put_page(call, shown, "sessions", record.sessions(segments=with_segments), segments=with_segments)
        if expand == "participants_v2":
            shown["participants_v2"] = record.participants()[:_PARTICIPANTS_A_PAGE]
        context = f"{call.address}/v1.0/$metadata#communications/callRecords/$entity"
        return graph_json({"@odata.context": context, **shown})

    async def _sessions(self, call: Call) -> Response:
        record = self._found(call)
        with_segments = call.request.query_params.get("$expand") == "segments"
        shown: dict[str, Any] = {
            "@odata.context": f"{call.address}/v1.0/$metadata#communications/callRecords('{record.id}')/sessions"
        }
        _put_page(call, shown, "", record.sessions(segments=with_segments), segments=with_segments)
        return graph_json(shown)

    async def _list(self, call: Call) -> Response:
        if "$expand" in call.request.query_params:
            raise bad_request("'$expand' is not supported on the list of call records.")
        asked = call.request.query_params.get("$filter", "")
        matches = _filter(asked)
        found = [record for record in self._kept(call) if matches(record)]
        skip, size = _window(call, _RECORDS_A_PAGE)
        body: dict[str, Any] = {
            "@odata.context": f"{call.address}/v1.0/$metadata#communications/callRecords",
            "value": [record.to_wire(call.caller.tenant, call.address) for record in found[skip : skip + size]],
        }
        if skip + size < len(found):
            query = {**({"$filter": asked} if asked else {}), "$skiptoken": str(skip + size)}
            body["@odata.nextLink"] = f"{call.address}/v1.0/communications/callRecords?{urlencode(query)}"
        return graph_json(body)


def _put_page(call: Call, body: dict[str, Any], name: str, sessions: list[dict[str, Any]], *, segments: bool) -> None:
    """Put a page of sessions into an answer, with the way to the next one."""
    skip, size = _window(call, _SESSIONS_A_PAGE)
    body[name or "value"] = sessions[skip : skip + size]
    if skip + size < len(sessions):
        query = {**({"$expand": "segments"} if segments else {}), "$skiptoken": str(skip + size)}
        path = f"/v1.0/communications/callRecords/{call.request.path_params['record']}/sessions"
        body[f"{name}@odata.nextLink"] = f"{call.address}{path}?{urlencode(query)}"


def _window(call: Call, largest: int) -> tuple[int, int]:
    """Return how many entries to skip and to show."""
    token = call.request.query_params.get("$skiptoken", "0")
    if not token.isdecimal():
        raise bad_request("'$skiptoken' is not one of this service.")
    preferred = _PAGE_SIZE.search(call.request.headers.get("prefer", ""))
    size = min(int(preferred[1]), largest) if preferred else largest
    return int(token), max(size, 1)


def _filter(asked: str) -> Callable[[CallRecord], bool]:
    """Return what a filter asks of a record; times and one participant are all that can be asked."""
    tests: list[Callable[[CallRecord], bool]] = []
    for term in asked.split(" and ") if asked else ():
        if time := _TIME_TERM.fullmatch(term.strip()):
            tests.append(_time_test(time[1], time_of(time[2], "startDateTime")))
        elif person := _PERSON_TERM.fullmatch(term.strip()):
            tests.append(_person_test(person[2]))
        else:
            raise bad_request(f"The filter '{term.strip()}' is not supported.")
    return lambda record: all(test(record) for test in tests)


def _time_test(operator: str, limit: datetime) -> Callable[[CallRecord], bool]:
    def test(record: CallRecord) -> bool:
        start = record.call.started
        return {"ge": start >= limit, "gt": start > limit, "le": start <= limit, "lt": start < limit}[operator]

    return test


def _person_test(person: str) -> Callable[[CallRecord], bool]:
    return lambda record: any(one["id"] == person for one in record.participants())
