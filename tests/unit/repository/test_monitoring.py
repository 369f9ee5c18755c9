"""Alerts and dashboard say what Prometheus understands, about metrics that the programs have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
import pytest
import yaml
from unit.repository.reference_pages import DOCS, REPOSITORY, rows

FOLDER = REPOSITORY / "deploy/components/monitoring"
OF_PROMETHEUS = {"instance", "le", "pod"}
"""Labels that Prometheus or a histogram adds to every sample."""
_OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
_LABEL = re.compile(r"\{\{ ?\$?(?:labels\.)?([a-z_]+) ?\}\}")


@dataclass(frozen=True)
class Query:
    """An expression with the labels that its description or legend shows of its result."""

    name: str
    expression: str
    shown: frozenset[str]


def _rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def _queries() -> Iterator[Query]:
    for rule in _rules():
        shown = _LABEL.findall(" ".join(rule["annotations"].values()))
        yield Query(rule["alert"], rule["expr"], frozenset(shown))
    for panel in _panels():
        for target in panel.get("targets", []):
            # Grafana replaces its own variable before Prometheus sees the expression.
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield Query(
                f"{panel['title']} {target['refId']}", expression, frozenset(_LABEL.findall(target["legendFormat"]))
            )


QUERIES = list(_queries())


def _documented() -> dict[str, set[str]]:
    page = DOCS / "reference/metrics.md"
    found = [*rows(page, "Operator"), *rows(page, "Connector")]
    return {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[2])) for row in found}


def _selectors(expression: promql.Expr) -> list[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(expression, visit)
    return found


@pytest.mark.parametrize("query", QUERIES, ids=lambda one: one.name)
def test_an_expression_parses_and_asks_for_documented_metrics_by_documented_labels(query: Query) -> None:
    documented = _documented()
    selectors = _selectors(promql.parse(query.expression))
    asked = [(_OF_A_HISTOGRAM.sub("", str(one.name)), {m.name for m in one.matchers.matchers}) for one in selectors]
    labels = set[str]().union(*(documented.get(name, set()) for name, _ in asked)) | OF_PROMETHEUS
    grouped = {one.strip() for by in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", query.expression) for one in by.split(",")}

    assert asked
    assert {name for name, _ in asked} <= documented.keys()
    assert [one for one in asked if not one[1] <= documented[one[0]] | OF_PROMETHEUS] == []
    assert grouped <= labels
    assert {one for one in query.shown if one not in {"value", "humanize"}} <= labels


def test_an_expression_that_does_not_parse_would_be_found() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql.parse("sum by (route (rate(ehr_connector_http_requests_total[5m]))")


def test_every_alert_says_how_urgent_it_is_and_what_it_means() -> None:
    rules = _rules()

    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"page", "ticket"}
    assert [rule["alert"] for rule in rules if rule["annotations"].keys() != {"summary", "description"}] == []


def test_every_alert_is_in_the_reference_and_no_other() -> None:
    described = {row[0].strip("`"): row[1] for row in rows(DOCS / "reference/metrics.md", "Alerts")}

    assert described == {rule["alert"]: rule["labels"]["severity"] for rule in _rules()}


def test_no_panel_covers_another_and_each_lets_the_reader_choose_the_source() -> None:
    panels = _panels()
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {"${datasource}"}


def test_grafana_finds_the_dashboard_by_its_label() -> None:
    component = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    [generated] = component["configMapGenerator"]

    assert {file.partition("=")[2] for file in generated["files"]} == {"dashboard.json"}
    assert generated["options"]["labels"] == {"grafana_dashboard": "1"}
