"""The API server judges templates of messages by the rules of the CRD, as the models do without it."""

from __future__ import annotations

import json

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import Sample
from unit.api.template_cases import CASES, EMAIL, TEXT, Case

DRY_RUN = ("apply", "--dry-run=server", "--filename=-")
EMAIL_ON = {"enabled": True, "senderAddress": "visits@lamna.example"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_template_is_taken_or_refused_with_field_and_remedy(case: Case, sample: Sample, kubectl: Kubectl) -> None:
    config = sample("lamna")
    config["spec"].setdefault(EMAIL, EMAIL_ON)
    config["spec"][case.section]["templates"] = [case.template]

    answer = kubectl(*DRY_RUN, stdin=json.dumps(config))

    if not case.words:
        assert answer.returncode == 0, answer.stderr
        return
    assert answer.returncode != 0
    assert f"spec.{case.section}.templates[0]" in answer.stderr
    assert [words for words in case.words if words not in answer.stderr] == [], answer.stderr


@pytest.mark.parametrize("section", [TEXT, EMAIL])
def test_a_text_that_names_the_help_phone_needs_one(section: str, sample: Sample, kubectl: Kubectl) -> None:
    config = sample("lamna")
    config["spec"].setdefault(EMAIL, EMAIL_ON)
    case = next(case for case in CASES if case.section == section and "{helpPhone}" in case.template["text"])
    config["spec"][section]["templates"] = [case.template]
    config["spec"]["visits"].pop("helpPhone", None)

    refused = kubectl(*DRY_RUN, stdin=json.dumps(config))

    assert "spec.visits" in refused.stderr
    assert f"the placeholder {{helpPhone}} in {section}.templates needs visits.helpPhone" in refused.stderr
