"""What the Python SDK of azure-native knows about the inputs of a resource: names, types, and which are required."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import types
import typing
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import pulumi

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends in a preview for a value that is known only later."""


_WRONG = frozenset({"monitor:ConditionOperator", "dbforpostgresql:PrincipalType"})
"""Enumerations that the SDK gives to a property whose values are others (two of Azure's share the name)."""


class UnknownTypeError(Exception):
    """The SDK has no such resource."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the inputs."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Property:
    type: Any
    required: bool


def problems(token: str, inputs: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the inputs of a resource of the type `token`, by the SDK's own classes.

    Raises:
        UnknownTypeError: The SDK has no such resource.
    """
    return list(_object_problems(_arguments(token), inputs, ""))


@cache
def _arguments(token: str) -> type[Any]:
    _, module_name, name = token.split(":")
    try:
        module = importlib.import_module(f"pulumi_azure_native.{module_name}")
    except ModuleNotFoundError:
        raise UnknownTypeError(f"{token}: the SDK has no module '{module_name}'") from None
    # Where an input type has the name already, the generator calls the resource's own one Init.
    for class_name in (f"{name}InitArgs", f"{name}Args"):
        found = getattr(module, class_name, None)
        if isinstance(found, type):
            return found
    raise UnknownTypeError(f"{token}: the SDK has no class '{name}Args'")


@cache
def _properties(arguments: type[Any]) -> Mapping[str, _Property]:
    """The properties under their names on the wire."""
    initializer = arguments.__init__
    hints = typing.get_type_hints(
        initializer, vars(importlib.import_module(arguments.__module__)), {"Output": pulumi.Output, "T": Any}
    )
    found: dict[str, _Property] = {}
    for name, parameter in inspect.signature(initializer).parameters.items():
        if name in hints:
            getter: Any = inspect.getattr_static(arguments, name).fget
            found[getter._pulumi_name] = _Property(  # noqa: SLF001 (the SDK has no other way to the name)
                _plain(hints[name]), parameter.default is inspect.Parameter.empty
            )
    return found


def _plain(hint: Any) -> Any:
    """The type without Pulumi's `Input`, which adds promises of the same, and without None."""
    if typing.get_origin(hint) not in {typing.Union, types.UnionType}:
        return hint
    members = [
        member
        for member in typing.get_args(hint)
        if member is not type(None) and typing.get_origin(member) not in {Awaitable, pulumi.Output}
    ]
    flat: list[Any] = []
    for member in map(_plain, members):
        flat.extend(typing.get_args(member) if typing.get_origin(member) is typing.Union else [member])
    distinct = list(dict.fromkeys(member for member in flat if member is not type(None)))
    return distinct[0] if len(distinct) == 1 else typing.Union[tuple(distinct)]  # noqa: UP007 (made at run time)


def _object_problems(arguments: type[Any], given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    known = _properties(arguments)
    for name, value in given.items():
        where = f"{path}.{name}" if path else name
        if name not in known:
            yield Problem(where, f"is not known; {arguments.__name__} has {', '.join(sorted(known))}")
        elif value is not None:
            yield from _value_problems(known[name].type, value, where)
    for name, described in known.items():
        if described.required and given.get(name) is None:
            yield Problem(f"{path}.{name}" if path else name, "is required")


def _value_problems(expected: Any, value: Any, path: str) -> Iterator[Problem]:
    if value == UNKNOWN or expected is Any:
        return
    origin = typing.get_origin(expected)
    if origin in {typing.Union, types.UnionType}:
        yield from _union_problems(typing.get_args(expected), value, path)
    elif origin is collections.abc.Sequence:
        if isinstance(value, list):
            for index, item in enumerate(typing.cast("list[Any]", value)):
                yield from _value_problems(_plain(typing.get_args(expected)[0]), item, f"{path}[{index}]")
        else:
            yield Problem(path, "must be a list")
    elif origin is collections.abc.Mapping:
        if isinstance(value, dict):
            for key, item in typing.cast("dict[str, Any]", value).items():
                yield from _value_problems(_plain(typing.get_args(expected)[1]), item, f"{path}.{key}")
        else:
            yield Problem(path, "must be an object")
    elif isinstance(expected, type):
        yield from _class_problems(expected, value, path)
    else:
        yield Problem(path, f"has the type {expected}, which this stand-in does not know")


def _class_problems(expected: type[Any], value: Any, path: str) -> Iterator[Problem]:
    if issubclass(expected, Enum):
        allowed: list[Any] = [member.value for member in expected]
        if value not in allowed:
            yield Problem(path, f"must be one of {', '.join(map(str, allowed))}, not '{value}'")
    elif expected is bool or expected is str:
        if not isinstance(value, expected):
            yield Problem(path, f"must be of type {expected.__name__}")
    elif expected is int or expected is float:
        # Numbers are all the same on the wire.
        whole = expected is float or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and whole)):
            yield Problem(path, f"must be of type {expected.__name__}")
    elif isinstance(value, dict):
        yield from _object_problems(expected, typing.cast("dict[str, Any]", value), path)
    else:
        yield Problem(path, f"must be an object ({expected.__name__})")


def _is_enumeration(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, Enum)


def _is_open(enumeration: type[Any]) -> bool:
    module = enumeration.__module__.split(".")[1]
    return enumeration.__name__.startswith("Known") or f"{module}:{enumeration.__name__}" in _WRONG


def _union_problems(members: tuple[Any, ...], value: Any, path: str) -> Iterator[Problem]:
    """Of several forms the one that fits best speaks; an enumeration beside plain text means the enumeration.

    But not one that is called Known: Azure's word for one that lists examples.
    """
    if any(_is_enumeration(member) and not _is_open(member) for member in members):
        members = tuple(member for member in members if member is not str)
    attempts = [list(_value_problems(member, value, path)) for member in members]
    yield from min(attempts, key=len)
