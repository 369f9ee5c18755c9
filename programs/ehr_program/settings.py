"""Settings from the environment: all problems at once, and a help text that cannot differ from the code."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode


class SettingsError(Exception):
    """The environment does not describe a program that could run; the message lists every problem."""


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


ItemT = TypeVar("ItemT")

CommaSeparated = Annotated[tuple[ItemT, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable, separated by commas."""


def load(settings: type[SettingsT]) -> SettingsT:
    """Return the settings that the environment holds.

    Raises:
        SettingsError: Variables are missing or wrong; the message names each, and never a value, which may be secret.
    """
    try:
        return settings()
    except ValidationError as exc:
        problems = sorted({f"  {_problem(settings, error)}" for error in exc.errors()})
        raise SettingsError("The settings are not complete:\n" + "\n".join(problems)) from None


def help_text(settings: type[BaseSettings]) -> str:
    """Return one paragraph for each variable."""
    return "\n".join(_paragraph(settings, name, field) for name, field in settings.model_fields.items())


def _paragraph(settings: type[BaseSettings], name: str, field: FieldInfo) -> str:
    if field.is_required():
        default = "required"
    elif field.default in (None, (), ""):
        default = "default: none"
    else:
        default = f"default: {field.default}"
    text = textwrap.fill(
        f"{field.description} ({default})", width=96, initial_indent="      ", subsequent_indent="      "
    )
    return f"  {_variable(settings, name)}\n{text}"


def _problem(settings: type[BaseSettings], error: Any) -> str:
    # A rule about several variables has no place of its own, and names them itself.
    return f"{_variable(settings, str(error['loc'][0]))}: {_why(error)}" if error["loc"] else _why(error)


def _variable(settings: type[BaseSettings], name: str) -> str:
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _why(error: Any) -> str:
    if error["type"] == "missing":
        return "is required"
    place = ".".join(str(part) for part in error["loc"][1:])
    return (f"item {place}: " if place else "") + str(error["msg"]).removeprefix("Value error, ")
