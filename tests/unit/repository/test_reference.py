"""What docs/ says about the programs is what their code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from unit.repository.reference_pages import DOCS, OPERATOR, REPOSITORY, commands, rows
from unit.repository.reference_reasons import SOURCES, reasons_in, written
from unit.repository.reference_settings import COMMAND, settings_page

from ehr_api.conditions import Type
from ehr_api.meta import ACKNOWLEDGED_BY, ACKNOWLEDGED_DIGEST, FORCE_PROMOTION, GROUP, REQUESTED_AT
from ehr_connector.metrics import Metrics as ConnectorMetrics
from ehr_operator.connector_config.push import DETACH
from ehr_operator.fhir_endpoint.validation import PROBE_TYPES
from ehr_operator.runtime.metrics import Metrics as OperatorMetrics

ANNOTATIONS = {
    "REQUESTED_AT": REQUESTED_AT,
    "FORCE_PROMOTION": FORCE_PROMOTION,
    "ACKNOWLEDGED_DIGEST": ACKNOWLEDGED_DIGEST,
    "ACKNOWLEDGED_BY": ACKNOWLEDGED_BY,
    "DETACH": DETACH,
}
DEPLOY = DOCS.parent / "deploy"
PAGES = sorted((*DOCS.glob("reference/*.md"), *DOCS.glob("how-to/*.md")))


def _ids(path: Path) -> str:
    return path.stem


def _resources() -> set[str]:
    """Return every word by which kubectl knows our kinds, and those of Kubernetes' own that the pages name."""
    words = {"events", "deployment"}
    for path in (REPOSITORY / "crds").glob("*s.yaml"):
        document = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        if document["kind"] == "CustomResourceDefinition":
            names = document["spec"]["names"]
            words |= {names["plural"], names["singular"], *names["shortNames"], *names["categories"]}
    return words


def _registered(metrics: Any) -> dict[str, tuple[str, frozenset[str]]]:
    registry: CollectorRegistry = metrics.registry
    labels = {
        collector._name: frozenset(collector._labelnames)
        for collector in vars(metrics).values()
        if not isinstance(collector, CollectorRegistry)
    }
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: (family.type, labels[family.name])
        for family in registry.collect()
    }


def test_the_page_of_settings_is_what_both_programs_print() -> None:
    """The command that the page gives mends a difference."""
    page = (DOCS / "reference/settings.md").read_text(encoding="utf-8")

    assert page == settings_page()
    assert (REPOSITORY / COMMAND.split()[1]).exists()


@pytest.mark.parametrize(("program", "metrics"), [("Operator", OperatorMetrics), ("Connector", ConnectorMetrics)])
def test_the_page_of_metrics_has_every_metric_with_its_type_and_labels(program: str, metrics: type[Any]) -> None:
    described = {
        row[0].strip("`"): (row[1], frozenset(re.findall(r"`(\w+)`", row[2])))
        for row in rows(DOCS / "reference/metrics.md", program)
    }

    assert described == _registered(metrics())


def test_the_page_of_annotations_has_those_that_the_operator_reads_and_no_other() -> None:
    described = {row[0].strip("`") for row in rows(DOCS / "reference/annotations.md", "Annotations")}
    code = "\n".join(path.read_text(encoding="utf-8") for path in OPERATOR.rglob("*.py"))
    read = set(re.findall(r"obj\.annotations\.get\((\w+)", code))

    assert described == set(ANNOTATIONS.values())
    assert read == set(ANNOTATIONS)


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_annotation_that_a_page_names_is_read_by_the_operator_and_every_label_selected_by_a_manifest(
    page: Path,
) -> None:
    of_ours = rf"{re.escape(GROUP)}/([A-Za-z]+(?:-[a-z]+)*)"
    named = set(re.findall(of_ours, page.read_text(encoding="utf-8")))
    manifests = [file.read_text(encoding="utf-8") for file in DEPLOY.rglob("*.yaml")]
    selected = {name for text in manifests for name in re.findall(rf'{of_ours}: "true"', text)}

    assert named <= {name.split("/")[1] for name in ANNOTATIONS.values()} | selected


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_kubectl_command_of_a_page_names_a_resource_that_there_is(page: Path) -> None:
    named = {
        match[1]
        for command in commands(page)
        if (match := re.search(r"kubectl (?:get|describe|annotate|delete|patch|edit|wait .*?) ([a-z]+)[ /]", command))
    }

    assert named <= _resources()


def _listed(section: str) -> tuple[set[str], set[tuple[str, str, str]]]:
    """Return the reasons of a section's table, and its conditions: each type with each status of its row."""
    reasons: set[str] = set()
    conditions: set[tuple[str, str, str]] = set()
    for types, statuses, reason, *_ in rows(DOCS / "reference/conditions.md", section):
        reasons.add(reason.strip("`"))
        for type_ in re.findall(r"`(\w+)`", types):
            conditions |= {(type_, status, reason.strip("`")) for status in statuses.split(", ")}
    return reasons, conditions


@pytest.mark.parametrize("section", SOURCES)
def test_the_page_of_conditions_has_every_reason_that_the_code_can_write_and_no_other(section: str) -> None:
    reasons, _ = _listed(section)

    assert reasons == written(section).reasons


@pytest.mark.parametrize("section", SOURCES)
def test_the_page_of_conditions_has_each_reason_under_its_condition_and_status(section: str) -> None:
    _, conditions = _listed(section)

    assert written(section).conditions - conditions == set()


@pytest.mark.parametrize("section", SOURCES)
def test_no_reason_stands_twice_in_a_table_for_one_condition_and_status(section: str) -> None:
    page = DOCS / "reference/conditions.md"
    keys = [(types, statuses, reason) for types, statuses, reason, *_ in rows(page, section)]

    assert len(keys) == len(set(keys))


def test_every_condition_type_has_a_row_and_the_probes_have_theirs_under_fhir_endpoint() -> None:
    by_section = {section: {type_ for type_, _, _ in _listed(section)[1]} for section in SOURCES}

    assert set().union(*by_section.values()) == {type_.value for type_ in Type}
    assert {type_.value for type_ in PROBE_TYPES} <= by_section["FhirEndpoint"]


def test_the_page_of_conditions_has_every_event_of_its_own_and_no_other() -> None:
    described = {row[2].strip("`") for row in rows(DOCS / "reference/conditions.md", "Events")}

    assert described == set().union(*(written(section).events for section in SOURCES))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("false(Type.READY, NEW, 'm')\nNEW = 'BrandNew'", "BrandNew"),
        ("def f():\n    return 'BrandNew', 'm'", "BrandNew"),
        ("TABLE = {Outcome.X: ('BrandNew', 'm'), 1: 'AlsoNew'}", "AlsoNew"),
        ("Outcome(state=S, reason='BrandNew' if a else 'Other')", "BrandNew"),
        ("Situation(reason='BrandNew', message='m')", "BrandNew"),
    ],
)
def test_a_new_reason_is_found_wherever_the_code_puts_it(source: str, reason: str) -> None:
    assert reason in reasons_in(source)


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_link_of_a_page_leads_to_a_page_and_heading_that_there_are(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page

        assert linked.is_file()
        assert not anchor or anchor in _anchors(linked)


def test_the_page_for_those_on_call_speaks_of_reasons_and_kinds_that_there_are() -> None:
    page = (DOCS / "how-to/on-call.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^### (\w+)$|\*\*`(\w+)`\*\*", page, flags=re.MULTILINE))
    known = set().union(*(written(section).reasons for section in SOURCES))

    assert {heading or bold for heading, bold in named} <= known | set(SOURCES)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
