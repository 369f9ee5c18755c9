"""What docs/ says about the programs is what their code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from unit.repository.reference_pages import DOCS, OPERATOR, REPOSITORY, commands, rows
from unit.repository.reference_settings import COMMAND, settings_page

from ehr_api.meta import FORCE_PROMOTION, GROUP, REQUESTED_AT
from ehr_connector.metrics import Metrics as ConnectorMetrics
from ehr_operator.connector_config.push import DETACH
from ehr_operator.runtime.metrics import Metrics as OperatorMetrics

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

    assert described == {REQUESTED_AT, FORCE_PROMOTION, DETACH}
    assert read == {"REQUESTED_AT", "FORCE_PROMOTION", "DETACH"}


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_annotation_that_a_page_names_is_one_that_the_operator_reads(page: Path) -> None:
    named = set(re.findall(rf"{re.escape(GROUP)}/([A-Za-z]+(?:-[a-z]+)*)", page.read_text(encoding="utf-8")))

    assert named <= {name.split("/")[1] for name in (REQUESTED_AT, FORCE_PROMOTION, DETACH)}


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_kubectl_command_of_a_page_names_a_resource_that_there_is(page: Path) -> None:
    named = {
        match[1]
        for command in commands(page)
        if (match := re.search(r"kubectl (?:get|describe|annotate|delete|patch|edit|wait .*?) ([a-z]+)[ /]", command))
    }

    assert named <= _resources()
