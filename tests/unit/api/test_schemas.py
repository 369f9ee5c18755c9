"""The CRDs as documentation, and by the rules of structural schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import Field

from ehr_api.crd import KINDS, crd_of, structural_schema
from ehr_api.meta import ApiModel

SCHEMAS: dict[str, dict[str, Any]] = {
    resource.kind: crd_of(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for resource in KINDS
}
PARTS = [(kind, part) for kind in SCHEMAS for part in ("spec", "status")]
of_every_kind = pytest.mark.parametrize("kind", SCHEMAS)
of_every_part = pytest.mark.parametrize(("kind", "part"), PARTS)

SAID_BY_KUBERNETES = {"apiVersion", "kind", "metadata"}
"""The API server documents these fields of every object itself."""

MEANING_OF_A_FIELD = re.compile(r"^([A-Z]|metadata\.)[^\n]*\.'?$")
"""One paragraph, from a capital letter (or the name of a field) to a full stop."""


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in `schema` with its path; items of a list are `[]`."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def part_of(kind: str, part: str) -> list[tuple[str, dict[str, Any]]]:
    return list(nodes(SCHEMAS[kind]["properties"][part], part))


@of_every_kind
def test_every_field_reads_like_documentation(kind: str) -> None:
    documented = {name for name in SCHEMAS[kind]["properties"] if name not in SAID_BY_KUBERNETES}
    fields = [
        (path, schema) for part in sorted(documented) for path, schema in part_of(kind, part) if not path.endswith("[]")
    ]

    assert [path for path, schema in fields if not MEANING_OF_A_FIELD.match(schema.get("description", ""))] == []
    assert MEANING_OF_A_FIELD.match(SCHEMAS[kind]["description"])


@of_every_kind
def test_a_default_stands_in_the_schema_or_in_words_but_not_in_both_where_they_would_drift_apart(kind: str) -> None:
    both = [
        path
        for path, schema in part_of(kind, "spec")
        if "default" in schema and "Default:" in schema.get("description", "")
    ]

    assert both == []


@of_every_part
def test_every_list_has_a_bound(kind: str, part: str) -> None:
    assert [
        path for path, schema in part_of(kind, part) if schema["type"] == "array" and "maxItems" not in schema
    ] == []


@of_every_part
def test_the_keys_of_a_list_that_is_a_map_are_required_scalars_of_its_items(kind: str, part: str) -> None:
    maps = [(path, node) for path, node in part_of(kind, part) if node.get("x-kubernetes-list-type") == "map"]

    wrong = [
        f"{path}[].{key}"
        for path, schema in maps
        for key in schema["x-kubernetes-list-map-keys"]
        if key not in schema["items"].get("required", [])
        or schema["items"]["properties"][key]["type"] not in {"string", "integer", "boolean"}
    ]
    assert wrong == []


@of_every_part
def test_a_list_that_is_a_set_holds_scalars_and_only_a_map_has_keys(kind: str, part: str) -> None:
    lists = [(path, node) for path, node in part_of(kind, part) if node["type"] == "array"]

    for path, node in lists:
        if node.get("x-kubernetes-list-type") == "set":
            assert node["items"]["type"] in {"string", "integer"}, path
        assert ("x-kubernetes-list-map-keys" in node) == (node.get("x-kubernetes-list-type") == "map"), path


@of_every_kind
def test_defaults_stand_only_on_scalars_directly_under_spec_and_on_the_observed_generation(kind: str) -> None:
    defaults = {
        path: schema["default"]
        for part in ("spec", "status")
        for path, schema in part_of(kind, part)
        if "default" in schema
    }

    assert defaults.pop("status") == {"observedGeneration": -1}
    assert defaults.pop("status.observedGeneration") == -1
    assert [path for path in defaults if not re.fullmatch(r"spec\.\w+", path)] == []
    assert [path for path, value in defaults.items() if not isinstance(value, str | bool | int)] == []


@of_every_part
def test_every_schema_says_its_one_type_and_nothing_that_a_structural_schema_cannot(kind: str, part: str) -> None:
    known = {
        "type", "description", "default", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
        "minItems", "maxItems", "properties", "required", "items", "x-kubernetes-validations",
        "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    }  # fmt: skip
    types = {"object", "array", "string", "integer", "boolean"}

    assert [path for path, schema in part_of(kind, part) if schema.keys() - known or schema["type"] not in types] == []


@of_every_part
def test_a_required_field_exists_and_has_no_default(kind: str, part: str) -> None:
    wrong = [
        f"{path}.{name}"
        for path, schema in part_of(kind, part)
        for name in schema.get("required", [])
        if "default" in schema["properties"].get(name, {"default": "missing"})
    ]

    assert wrong == []


@of_every_kind
def test_every_printer_column_shows_a_field_that_exists(kind: str) -> None:
    crd = next(crd_of(resource) for resource in KINDS if resource.kind == kind)
    fields = {path for part in ("spec", "status") for path, _ in part_of(kind, part)}
    shown = [column["jsonPath"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]

    plain = [path.removeprefix(".") for path in shown if "conditions[" not in path and "metadata" not in path]
    assert [path for path in plain if path not in fields] == []


def test_what_a_structural_schema_cannot_say_is_refused_when_it_is_generated() -> None:
    class Two(ApiModel):
        value: int | str = Field(description="Either.")

    class Anything(ApiModel):
        value: Any = Field(description="Anything.")

    with pytest.raises(TypeError, match="union of several types"):
        structural_schema(Two)
    with pytest.raises(TypeError, match="not a structural schema"):
        structural_schema(Anything)


def test_an_optional_field_is_one_type_that_may_be_absent_and_a_literal_an_enumeration() -> None:
    class Model(ApiModel):
        one: Literal["a"] | None = Field(default=None, description="One.")
        two: Literal["a", "b"] = Field(default="b", description="Two.")

    assert structural_schema(Model) == {
        "type": "object",
        "properties": {
            "one": {"type": "string", "description": "One.", "enum": ["a"]},
            "two": {"type": "string", "description": "Two.", "enum": ["a", "b"], "default": "b"},
        },
    }


def read_by(rule: str, schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas that a CEL rule at `schema` reads, with their paths."""
    for _, fields in re.findall(r"\b(self|oldSelf)((?:\.\w+\b(?!\())*)", rule):
        found, place = schema, path
        for name in fields.split(".")[1:]:
            found, place = found["properties"][name], f"{place}.{name}"
        yield place, found


@of_every_part
def test_a_string_that_a_rule_reads_has_a_bound_so_that_the_rules_cost_has_one(kind: str, part: str) -> None:
    read = {
        place: schema
        for path, node in part_of(kind, part)
        for rule in node.get("x-kubernetes-validations", [])
        for place, schema in read_by(rule["rule"], node, path)
    }

    unbounded = [
        place
        for place, schema in read.items()
        if schema["type"] == "string" and not {"maxLength", "enum", "format"} & schema.keys()
    ]
    assert unbounded == []


@of_every_part
def test_an_acronym_stands_in_one_case(kind: str, part: str) -> None:
    names = [path.removesuffix("[]").rpartition(".")[2] for path, _ in part_of(kind, part)]

    assert [name for name in names if re.search(r"(Id|Uid|Url|Uri|Fhir|Sms|Jwks|Tls|Dns)s?([A-Z]|$)", name)] == []
