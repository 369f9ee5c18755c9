"""Documents to desired objects, with everything that is wrong with them at once. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ehr_api.crd import KINDS, structural_schema
from ehr_api.meta import API_VERSION, GROUP, ApiModel
from ehr_api.template_faults import template_faults
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import RECORD

MODELS: dict[str, type[ApiModel]] = {resource.kind: resource.spec for resource in KINDS}
_SCHEMAS = {kind: structural_schema(model) for kind, model in MODELS.items()}
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document and where it was read."""

    origin: str
    content: Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must be mended before there can be a plan."""

    origin: str
    field: str
    remedy: str

    def __str__(self) -> str:
        """Return the line for a person."""
        return f"{self.origin}: {self.field}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The objects of our kinds that an input holds, and what is wrong with it."""

    bodies: list[Body]
    """Metadata as written, with a namespace; the spec in full, with defaults."""
    problems: list[Problem]


def parse(documents: Iterable[Document], *, namespace: str) -> Parsed:
    """Return the objects; `namespace` is that of objects which name none. Objects of other groups are passed over.

    Rules in CEL are the API server's: `kubectl apply --dry-run=server` asks it. Those of templates are checked here too.
    """
    bodies: list[Body] = []
    problems: list[Problem] = []
    origins: dict[Key, str] = {}
    for document in _flat(documents):
        found = _problems(document)
        if found is None:
            continue
        if found:
            problems += found
            continue
        body = _body(document.content, namespace)
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        if key in origins:
            remedy = f"{key.kind} '{key.namespace}/{key.name}' stands in {origins[key]} too: remove one of them"
            problems.append(Problem(document.origin, "metadata.name", remedy))
        origins.setdefault(key, document.origin)
        bodies.append(body)
    return Parsed(bodies, problems)


def normal_spec(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec as the API server would store it: defaults filled in, times in one form.

    Raises:
        pydantic.ValidationError: It is not what this version understands.
    """
    return MODELS[kind].model_validate(spec).to_api()


def _flat(documents: Iterable[Document]) -> Iterable[Document]:
    """Return each object of a List as a document of its own; what is no object is passed over."""
    for document in documents:
        content = document.content
        if not isinstance(content, dict):
            continue
        fields: dict[str, Any] = content  # pyright: ignore[reportUnknownVariableType]  (YAML)
        if fields.get("kind") == "List" and isinstance(fields.get("items"), list):
            items: list[Any] = fields["items"]
            yield from _flat(Document(f"{document.origin} (item {n})", item) for n, item in enumerate(items, 1))
        else:
            yield Document(document.origin, fields)


def _problems(document: Document) -> list[Problem] | None:
    """Return what is wrong; None where the document is none of ours."""
    content, origin = document.content, document.origin
    version, kind = str(content.get("apiVersion")), str(content.get("kind"))
    if version.partition("/")[0] != GROUP:
        return None
    if version != API_VERSION:
        return [Problem(origin, "apiVersion", f"'{version}' is not served; write {API_VERSION}")]
    if kind == RECORD:
        return [Problem(origin, "kind", f"{RECORD}s are written by the operator alone; remove the document")]
    if kind not in MODELS:
        return [Problem(origin, "kind", f"'{kind}' is unknown{_nearest(kind, MODELS)}")]
    metadata, spec = content.get("metadata"), content.get("spec")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):  # pyright: ignore[reportUnknownMemberType]  (YAML)
        return [Problem(origin, "metadata.name", "is required")]
    named: dict[str, Any] = metadata  # pyright: ignore[reportUnknownVariableType]  (YAML)
    origin = f"{origin} ({kind} {named['name']})"
    if not isinstance(named.get("namespace") or "", str):
        return [Problem(origin, "metadata.namespace", "must be a text: put it in quotes")]
    if not isinstance(spec, dict):
        return [Problem(origin, "spec", "is required and must be an object")]
    top = [Problem(origin, str(field), _unknown(str(field), _TOP)) for field in content if field not in _TOP]
    return top + _spec_problems(origin, kind, spec)  # pyright: ignore[reportUnknownArgumentType]  (YAML)


def _spec_problems(origin: str, kind: str, spec: dict[str, Any]) -> list[Problem]:
    found: dict[str, str] = {}
    try:
        # By way of JSON, where strict means what the API server means: no number for a text, but texts for times.
        model = MODELS[kind].model_validate_json(json.dumps(spec, default=str), strict=True)
        if isinstance(model, EHRConnectorConfigSpec):
            for fault in template_faults(model):
                known = found.get(fault.field)
                found[fault.field] = fault.remedy if known is None else f"{known}; and {fault.remedy}"
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            found.setdefault(_path(error["loc"]), _why(error["type"], error["msg"]))
    for path, remedy in _strict(spec, _SCHEMAS[kind], "spec"):
        found.setdefault(path, remedy)
    return [Problem(origin, path, remedy) for path, remedy in found.items()]


def _path(loc: tuple[int | str, ...]) -> str:
    return "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)


def _why(kind: str, message: str) -> str:
    if kind == "missing":
        return "is required"
    return message[:1].lower() + message[1:]


def _strict(value: Any, schema: dict[str, Any], path: str) -> Iterable[tuple[str, str]]:
    """Return what the API server checks and the models let pass: unknown fields, and lists of allowed words."""
    if isinstance(value, dict) and "properties" in schema:
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]  (YAML)
        for name, part in fields.items():
            if name in schema["properties"]:
                yield from _strict(part, schema["properties"][name], f"{path}.{name}")
            else:
                yield f"{path}.{name}", _unknown(str(name), schema["properties"])  # YAML reads `on` as a boolean
    elif isinstance(value, list) and "items" in schema:
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]  (YAML)
        for index, part in enumerate(items):
            yield from _strict(part, schema["items"], f"{path}[{index}]")
    elif isinstance(value, str) and value not in schema.get("enum", [value]):
        yield path, f"'{value}' is not one of the allowed values{_nearest(value, schema['enum'])}"


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"unknown field{_nearest(name, known)}; `kubectl explain` lists the fields"


def _nearest(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _body(content: Mapping[str, Any], namespace: str) -> Body:
    metadata: dict[str, Any] = content["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": content["kind"],
        "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace},
        "spec": normal_spec(content["kind"], content["spec"]),
    }
