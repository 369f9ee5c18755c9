"""What is read, and what is wrong with it: everything at once, each with file, field and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.api.template_cases import CASES, Case
from unit.operator.conftest import config_spec, endpoint_spec, number_spec

from ehr_api.crd import KINDS
from ehr_api.meta import API_VERSION
from ehr_operator.plan_command.desired import Document, Parsed, parse
from ehr_operator.plan_command.effect import Action
from ehr_operator.plan_command.plan import plan
from ehr_operator.plan_command.refusals import refusals
from ehr_operator.plan_command.source import SourceError, build_kustomization, read_files

SAMPLES = Path(__file__).resolve().parents[4] / "deploy" / "samples"


def document(kind: str, spec: Any, name: str = "lamna", **parts: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec, **parts}


def parsed(*contents: Any) -> Parsed:
    return parse([Document("git.yaml", content) for content in contents], namespace="hospital")


def problem(content: Any) -> str:
    [found] = parsed(content).problems
    return str(found)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(
            document("SmsNumber", number_spec(deletionPolcy="Release")),
            "git.yaml (SmsNumber lamna): spec.deletionPolcy: unknown field; did you mean 'deletionPolicy'?; "
            "`kubectl explain` lists the fields",
            id="an unknown field",
        ),
        pytest.param(
            document("FhirEndpoint", endpoint_spec(appointments={"timeZone": "America/Chicgo"})),
            "git.yaml (FhirEndpoint lamna): spec.appointments.timeZone: 'America/Chicgo' is not one of the allowed values;"
            " did you mean 'America/Chicago'?",
            id="an unknown time zone",
        ),
        pytest.param(
            document("FhirEndpoint", endpoint_spec(baseURL=None)),
            "git.yaml (FhirEndpoint lamna): spec.baseURL: is required",
            id="a missing field",
        ),
        pytest.param(
            document("EHRConnectorConfig", config_spec(ehr={"release": 2018.11})),
            "git.yaml (EHRConnectorConfig lamna): spec.ehr.release: input should be a valid string",
            id="a number that wants quotes",
        ),
        pytest.param(
            document("FhirEndpoint", endpoint_spec(departments=[{"name": "a", "displayName": "A", "site": "b"}])),
            "git.yaml (FhirEndpoint lamna): spec.departments[0].site: unknown field; `kubectl explain` lists the fields",
            id="an unknown field in a list",
        ),
        pytest.param(
            document("SmsNumber", number_spec(), specs={}),
            "git.yaml (SmsNumber lamna): specs: unknown field; did you mean 'spec'?; `kubectl explain` lists the fields",
            id="an unknown field beside the spec",
        ),
        pytest.param(document("SmsNumber", None), "git.yaml (SmsNumber lamna): spec: is required and must be an object",
                     id="no spec"),
        pytest.param(
            document("SmsNumbr", {}), "git.yaml: kind: 'SmsNumbr' is unknown; did you mean 'SmsNumber'?", id="a wrong kind"
        ),
        pytest.param(
            document("IntegrationRecord", {}),
            "git.yaml: kind: IntegrationRecords are written by the operator alone; remove the document",
            id="a record",
        ),
        pytest.param(
            document("SmsNumber", {}) | {"apiVersion": "ehrconnector.io/v1"},
            "git.yaml: apiVersion: 'ehrconnector.io/v1' is not served; write ehrconnector.io/v1alpha1",
            id="a version that is not served",
        ),
        pytest.param(
            document("SmsNumber", {}, metadata={}), "git.yaml: metadata.name: is required", id="an object without a name"
        ),
        pytest.param(
            document("SmsNumber", {}, metadata={"name": "a", "namespace": 7}),
            "git.yaml (SmsNumber a): metadata.namespace: must be a text: put it in quotes",
            id="a namespace that is a number",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_field_and_remedy(content: Any, told: str) -> None:
    assert problem(content) == told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_template_that_the_api_server_would_refuse_is_told_with_its_field(case: Case) -> None:
    section = config_spec().get(case.section) or {"enabled": False}
    visits = {"helpPhone": "+18005550199"}
    spec = config_spec(visits=visits) | {case.section: section | {"templates": [case.template]}}
    told = [str(one) for one in parsed(document("EHRConnectorConfig", spec)).problems]

    assert [words for words in case.words if not any(words.partition(" ")[2] in one for one in told)] == []
    assert bool(told) is bool(case.words)
    assert all(
        one.startswith(f"git.yaml (EHRConnectorConfig lamna): spec.{case.section}.templates[0].") for one in told
    )


def test_all_mistakes_are_told_at_once() -> None:
    found = parsed(
        document("SmsNumber", number_spec(numberType="Fax", areaCode="x", nothing=1)),
        document("EHRConnectorConfig", {}),
    ).problems

    assert {"spec.numberType", "spec.areaCode", "spec.nothing", "spec.displayName", "spec.ehr"} <= {
        one.field for one in found
    }


def test_one_object_in_two_files_is_a_mistake() -> None:
    twice = document("SmsNumber", number_spec())

    assert "SmsNumber 'hospital/lamna' stands in git.yaml too: remove one of them" in str(
        parsed(twice, twice).problems[0]
    )


def test_objects_of_others_are_passed_over_and_lists_are_opened() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lamna"}}
    items = {"apiVersion": "v1", "kind": "List", "items": [namespace, document("SmsNumber", number_spec())]}

    found = parsed(namespace, None, items)

    assert found.problems == []
    assert [(body["kind"], body["metadata"]["namespace"]) for body in found.bodies] == [("SmsNumber", "hospital")]


def test_a_namespace_in_the_document_stands() -> None:
    own = document("SmsNumber", number_spec(), metadata={"name": "lamna", "namespace": "own"})

    assert parsed(own).bodies[0]["metadata"]["namespace"] == "own"


def test_folders_are_read_with_all_below_them(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    text = yaml.safe_dump(document("SmsNumber", number_spec()))
    (below / "numbers.yml").write_text(f"{text}---\n{text}")
    (tmp_path / "notes.txt").write_text("not read")

    assert [one.origin for one in read_files(tmp_path)] == [str(below / "numbers.yml")] * 2


def test_the_samples_are_read_as_files_without_a_problem() -> None:
    found = parse(read_files(SAMPLES), namespace="lamna")

    assert found.problems == []
    assert {body["kind"] for body in found.bodies} == {"EHRConnectorConfig", "FhirEndpoint", "SmsNumber"}


def test_every_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text("a: [")

    with pytest.raises(SourceError) as error:
        read_files(tmp_path)

    assert [line.startswith(str(tmp_path)) for line in str(error.value).splitlines()] == [True, True]


def test_yaml_is_read_as_kubernetes_reads_it_times_are_texts_and_on_is_true(tmp_path: Path) -> None:
    config = document("EHRConnectorConfig", config_spec())
    text = yaml.safe_dump(config).replace("'2026-01-31T09:00:00Z'", "2026-01-31T09:00:00Z")
    (tmp_path / "config.yaml").write_text(text.replace("spec:", "spec:\n  on: 1"))

    [found] = parse(read_files(tmp_path), namespace="lamna").problems

    assert "2026-01-31T09:00:00Z\n" in text
    assert found.field == "spec.True"


def test_empty_annotations_are_none() -> None:
    endpoint = document("FhirEndpoint", endpoint_spec(), metadata={"name": "lamna", "annotations": None})

    assert [effect.action for effect in plan(parsed(endpoint).bodies, [])] == [Action.ENDPOINT_ADDED]


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_place_without_files_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"there is no such file or folder|holds no file"):
        read_files(tmp_path / name)


def test_without_kubectl_a_kustomization_cannot_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SourceError, match="-k needs kubectl, which is not in PATH"):
        build_kustomization(SAMPLES)


def test_what_kubectl_says_of_a_kustomization_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho error: no kustomization >&2\nexit 1\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SourceError, match="kubectl kustomize: error: no kustomization"):
        build_kustomization(SAMPLES)


def rules_that_look_back(node: Any) -> set[str]:
    """Every rule of a CRD's schema that compares with the old object."""
    if isinstance(node, list):
        return {rule for part in node for rule in rules_that_look_back(part)}  # pyright: ignore[reportUnknownVariableType]  # JSON
    if not isinstance(node, dict):
        return set()
    fields: dict[str, Any] = node
    own = {str(fields["rule"])} if "oldSelf" in str(fields.get("rule", "")) else set[str]()
    return own.union(*(rules_that_look_back(part) for part in fields.values()))


def test_every_rule_of_the_crds_that_looks_back_is_known_to_the_plan() -> None:
    crds = Path(__file__).resolve().parents[4] / "crds"
    documents = [yaml.safe_load((crds / f"{resource.plural}.yaml").read_text()) for resource in KINDS]

    assert rules_that_look_back(documents) == {
        "self == oldSelf",
        "!has(oldSelf.phoneNumber) || (has(self.phoneNumber) && self.phoneNumber == oldSelf.phoneNumber)",
    }
    assert [field for field, _ in refusals("SmsNumber", {"phoneNumber": "+1"}, {"phoneNumber": "+2"})] == [
        "spec.phoneNumber"
    ]
    assert refusals("SmsNumber", {}, {"phoneNumber": "+2"}) == []
