"""What all controls under `/_sandbox` share: how bodies are read, and how what is wrong with them is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ehr_sandbox.cerner.settings import CernerSettings


class ControlBody(BaseModel):
    """The body of a control: camelCase, and no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ControlError(Exception):
    """A control cannot be carried out."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def answering(control: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return a control that answers what is wrong with a request."""

    async def answer(request: Request) -> Response:
        try:
            return await control(request)
        except ValidationError as exc:
            wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}" for error in exc.errors())
            return _refusal(wrong, 400)
        except ControlError as exc:
            return _refusal(str(exc), exc.status)

    return answer


def tenant_of(settings: CernerSettings, given: str | None) -> str:
    """Return the tenant that is meant.

    Raises:
        ControlError: None is given and there is more than one, or it does not exist.
    """
    if given is None and len(settings.tenants) == 1 and not settings.any_tenant:
        return min(settings.tenants)
    if given is None:
        raise ControlError("tenant: must be given, since there is more than one")
    if not settings.has_tenant(given):
        raise ControlError(f"tenant: there is none '{given}'")
    return given


def _refusal(message: str, status: int) -> Response:
    code = "NotFound" if status == 404 else "BadRequest"  # noqa: PLR2004 (HTTP's own number)
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
