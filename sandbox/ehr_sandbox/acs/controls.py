"""The simulator's own controls under `/_sandbox`: ledger, state, settings. They need no authentication."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.acs.catalog import describe
from ehr_sandbox.acs.errors import AzureError, bad_request
from ehr_sandbox.acs.messages.controls import MessageChange, change_messages, message_ledger
from ehr_sandbox.acs.model import AvailableNumber, FailureCode, OperationType
from ehr_sandbox.acs.passing_time import own, settle
from ehr_sandbox.acs.state_file import Store
from ehr_sandbox.acs.world import World

CONTROLS = {
    "GET /_sandbox/ledger": "The truth about money and messages: purchases, releases, reservations, searches, texts, e-mails.",
    "GET /_sandbox/state": "Owned numbers, open holds and operations, size of the stock.",
    "POST /_sandbox/state": "Own, release, sell or restock numbers behind the client's back; fail operations; skip time.",
    "GET /_sandbox/events": "Delivery reports and received texts as Event Grid has them; ?after= skips so many.",
    "POST /_sandbox/messages": "Verify numbers, let people text, give the next texts a delivery code.",
    "GET /_sandbox/settings": "Operation time, listing delay, quotas.",
    "PATCH /_sandbox/settings": "Change them.",
}


Change = TypeVar("Change", bound=BaseModel)


class PlannedFailure(BaseModel):
    """Operations that are to fail."""

    model_config = ConfigDict(extra="forbid")

    operation_type: OperationType
    code: FailureCode = "ProvisioningFailed"
    count: int = Field(default=1, ge=1, description="How many of the next operations of this type.")


class StateChange(BaseModel):
    """Something that happens at the provider without the client. Phone numbers are in E.164."""

    model_config = ConfigDict(extra="forbid")

    own: list[str] = Field(default_factory=list[str], description="The resource owns these, bought by somebody else.")
    release: list[str] = Field(default_factory=list[str], description="The resource loses these.")
    sell: list[str] = Field(default_factory=list[str], description="Other customers get these, though they be on hold.")
    restock: list[str] = Field(default_factory=list[str], description="These are on sale, again or newly.")
    fail_operations: list[PlannedFailure] = Field(default_factory=list[PlannedFailure])
    advance_s: float = Field(default=0.0, ge=0, description="Seconds by which the service's clock goes forward.")


class Controls:
    """The handlers of the controls."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted at `/_sandbox`."""
        return [
            Route("/ledger", self._ledger, methods=["GET"]),
            Route("/state", self._get_state, methods=["GET"]),
            Route("/state", self._change_state, methods=["POST"]),
            Route("/events", self._events, methods=["GET"]),
            Route("/messages", self._change_messages, methods=["POST"]),
            Route("/settings", self._get_settings, methods=["GET"]),
            Route("/settings", self._change_settings, methods=["PATCH"]),
        ]

    async def _ledger(self, _request: Request) -> Response:
        self._settle()
        return JSONResponse(ledger(self._world))

    async def _get_state(self, _request: Request) -> Response:
        self._settle()
        return JSONResponse(summary(self._world))

    async def _change_state(self, request: Request) -> Response:
        change = _parsed(StateChange, await request.body())
        # All or nothing: a number that nobody knows is found before anything changes.
        newcomers = {number: _described(number) for number in (*change.own, *change.restock)}
        self._settle()
        apply(self._world, change, newcomers)
        self._settle()
        self._store.save(self._world.state)
        return JSONResponse(summary(self._world))

    async def _events(self, request: Request) -> Response:
        self._settle()
        events = self._world.state.messages.events
        after = request.query_params.get("after", "0")
        return JSONResponse({"events": events[int(after) if after.isdecimal() else 0 :], "next": len(events)})

    async def _change_messages(self, request: Request) -> Response:
        change = _parsed(MessageChange, await request.body())
        self._settle()
        change_messages(self._world, change)
        self._store.save(self._world.state)
        return JSONResponse(message_ledger(self._world))

    async def _get_settings(self, _request: Request) -> Response:
        return JSONResponse(self._world.behaviour.model_dump())

    async def _change_settings(self, request: Request) -> Response:
        try:
            changes = await request.json()
            behaviour = type(self._world.behaviour).model_validate({**self._world.behaviour.model_dump(), **changes})
        except (ValidationError, ValueError, TypeError) as exc:
            raise bad_request(f"The settings are not valid: {exc}") from exc
        self._world.behaviour = behaviour
        return JSONResponse(behaviour.model_dump())

    def _settle(self) -> None:
        if settle(self._world):
            self._store.save(self._world.state)


def apply(world: World, change: StateChange, newcomers: dict[str, AvailableNumber]) -> None:
    """Let something happen at the provider."""
    state = world.state
    state.shift_s += change.advance_s
    for phone_number in change.own:
        number = newcomers[phone_number]
        state.owned[number.id] = own(number, world.now(), listed_after_s=0)
    for phone_number in (*change.release, *change.sell):
        digits = phone_number.removeprefix("+")
        state.owned.pop(digits, None)
        state.sold.add(digits)
    for phone_number in change.restock:
        number = newcomers[phone_number]
        state.sold.discard(number.id)
        state.restocked.add(phone_number)
        world.stock.setdefault(number.id, number)
    for planned in change.fail_operations:
        state.failures.extend((planned.operation_type, planned.code) for _ in range(planned.count))


def ledger(world: World) -> dict[str, Any]:
    """Return what was done and what it cost, by kind and in order."""
    entries = world.state.ledger

    def of(kind: str) -> list[dict[str, Any]]:
        return [entry.to_wire(without={"kind"}) for entry in entries if entry.kind == kind]

    return {
        "purchases": of("purchase"),
        "purchasesRefused": of("purchase_refused"),
        "releases": of("release"),
        "reservations": of("reservation"),
        "searches": of("search"),
        "searchesRefused": of("search_refused"),
        "totalCost": {"amount": round(sum(entry.amount for entry in entries), 2), "currencyCode": "USD"},
        **message_ledger(world),
    }


def summary(world: World) -> dict[str, Any]:
    """Return what is going on."""
    state = world.state
    return {
        "now": world.now().isoformat(),
        "owned": [number.phone_number for number in state.owned.values()],
        "on_sale": len(world.all_on_sale()),
        "reservations": {
            reservation.id: {
                "status": reservation.status,
                "phone_numbers": [number.phone_number for number in reservation.phone_numbers.values()],
            }
            for reservation in state.reservations.values()
        },
        "operations": {operation.id: operation.status for operation in state.operations.values()},
    }


def _parsed(model: type[Change], body: bytes) -> Change:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        faults = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise AzureError(400, "BadRequest", faults) from exc


def _described(phone_number: str) -> AvailableNumber:
    try:
        return describe(phone_number)
    except ValueError as exc:
        raise bad_request(str(exc)) from exc
