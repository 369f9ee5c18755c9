"""The command that shows what patients would be sent: read YAML, judge templates, print. It asks nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import yaml
from pydantic import ValidationError

from ehr_api.meta import API_VERSION, ApiModel
from ehr_api.template_faults import template_faults
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_connector.notify.wording.preview import PRICES, Shown, preview
from ehr_connector.visits.events import Channel

_Spec = TypeVar("_Spec", bound=ApiModel)
_SUFFIXES = (".yaml", ".yml", ".json")
WRONG = 2
"""Exit status when the input cannot be read, or would be refused."""


@dataclass(frozen=True, slots=True)
class _Named(Generic[_Spec]):
    origin: str
    namespace: str
    """Empty where the document names none."""
    name: str
    spec: _Spec


@dataclass
class _Input:
    configs: list[_Named[EHRConnectorConfigSpec]] = field(default_factory=list[_Named[EHRConnectorConfigSpec]])
    endpoints: list[_Named[FhirEndpointSpec]] = field(default_factory=list[_Named[FhirEndpointSpec]])
    problems: list[str] = field(default_factory=list[str])


def preview_messages(
    paths: Sequence[Path],
    *,
    as_json: bool = False,
    prices: Mapping[str, Decimal] = PRICES,
    out: TextIO = sys.stdout,
    errors: TextIO = sys.stderr,
) -> int:
    """Print every message of every EHRConnectorConfig; return 0, or 2 when something is wrong with the input."""
    found = _read(paths)
    for config in found.configs:
        faults = template_faults(config.spec)
        found.problems += [f"{config.origin}: {fault.field} {fault.remedy}" for fault in faults]
    if not found.configs and not found.problems:
        found.problems.append(f"{', '.join(map(str, paths))}: holds no EHRConnectorConfig")
    if found.problems:
        print("\n".join(found.problems), file=errors)
        return WRONG
    shown: list[Shown] = []
    for config in found.configs:
        # A namespace is the boundary of an organisation: no reference crosses it.
        endpoints = {
            one.name: one.spec
            for one in found.endpoints
            if (one.namespace, one.spec.config_ref.name) == (config.namespace, config.name)
        }
        label = f"{config.namespace}/{config.name}" if config.namespace else config.name
        shown += preview(label, config.spec, endpoints)
    print(_json(shown, prices) if as_json else "\n".join(_lines(shown, prices)), file=out)
    return 0


def _read(paths: Sequence[Path]) -> _Input:
    found = _Input()
    for path in paths:
        files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES) if path.is_dir() else [path]
        for file in files:
            try:
                documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_Loader))
            except (OSError, UnicodeDecodeError) as exc:
                found.problems.append(f"{file}: cannot be read: {exc}")
            except yaml.YAMLError as exc:
                found.problems.append(f"{file}: is no YAML: {' '.join(str(exc).split())}")
            else:
                for document in _flat(documents):
                    _take(document, str(file), found)
    return found


def _flat(documents: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Return each object, those of a List one by one; what is no object is passed over."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        content: dict[str, Any] = document  # pyright: ignore[reportUnknownVariableType]  (YAML)
        if content.get("kind") == "List":
            yield from _flat(content.get("items") or [])
        else:
            yield content


def _take(document: dict[str, Any], file: str, found: _Input) -> None:
    if document.get("apiVersion") != API_VERSION:
        return
    metadata: dict[str, Any] = document.get("metadata") or {}
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "without a name")
    origin = f"{file} ({document.get('kind')} {name})"
    match document.get("kind"):
        case "EHRConnectorConfig":
            found.configs += _named(EHRConnectorConfigSpec, document, origin, namespace, name, found.problems)
        case "FhirEndpoint":
            found.endpoints += _named(FhirEndpointSpec, document, origin, namespace, name, found.problems)
        case _:
            pass


def _named(
    model: type[_Spec], document: dict[str, Any], origin: str, namespace: str, name: str, problems: list[str]
) -> list[_Named[_Spec]]:
    """Return the object, or none and why."""
    try:
        return [_Named(origin, namespace, name, model.model_validate(document.get("spec")))]
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
            problems.append(f"{origin}: spec{place}: {error['msg']}")
        return []


class _Loader(yaml.SafeLoader):
    """Leaves times as they are written, as Kubernetes reads YAML."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _lines(shown: Sequence[Shown], prices: Mapping[str, Decimal]) -> Iterable[str]:
    place = None
    for one in shown:
        here = f"{one.organization}: {', '.join(one.endpoints) or 'no FhirEndpoint in the input, so a department is made up'}"
        if here != place:
            yield f"{'' if place is None else chr(10)}{here}"
            place = here
        words = "own words" if one.is_own else "built-in"
        off = "" if one.is_on else ", off"
        yield f"\n{one.kind.value}, {one.locale.value}, {_channel(one)}, {words}{off}{_size(one, prices)}"
        if one.subject is not None:
            yield f"  Subject: {one.subject}"
        yield from (f"  {line}" for line in one.text.splitlines())


def _channel(one: Shown) -> str:
    return "text" if one.channel is Channel.SMS else "e-mail"


def _size(one: Shown, prices: Mapping[str, Decimal]) -> str:
    if one.size is None:
        return ""
    costs = ", ".join(f"{country} ${cost}" for country, cost in one.cost(prices).items())
    segments = "segment" if one.size.count == 1 else "segments"
    return f": {one.size.alphabet.value}, {one.size.count} {segments}, about {costs}"


def _json(shown: Sequence[Shown], prices: Mapping[str, Decimal]) -> str:
    messages = [
        {
            "organization": one.organization,
            "endpoints": list(one.endpoints),
            "kind": one.kind.value,
            "channel": one.channel.value,
            "locale": one.locale.value,
            "on": one.is_on,
            "ownWords": one.is_own,
            "subject": one.subject,
            "text": one.text,
            "encoding": one.size.alphabet.value if one.size else None,
            "segments": one.size.count if one.size else None,
            "cost": {country: str(cost) for country, cost in one.cost(prices).items()} if one.size else None,
        }
        for one in shown
    ]
    return json.dumps({"messages": messages}, ensure_ascii=False, indent=2)
