"""What the samples say arrives in the models, and leaves them, without loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ehr_api.crd import KINDS
from ehr_api.meta import API_VERSION

SAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "samples"
MODELS = {resource.kind: resource.spec for resource in KINDS}
DOCUMENTS = {
    f"{document['kind']}/{document['metadata']['name']}": document
    for file in sorted(SAMPLES.glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    if document["apiVersion"] == API_VERSION
}


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """The paths at which `after` does not say what `before` says; it may say more (defaults)."""
    if isinstance(before, dict) and isinstance(after, dict):
        told: dict[str, Any] = before
        kept: dict[str, Any] = after
        return [place for key in told for place in lost(told[key], kept.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):  # pyright: ignore[reportUnknownArgumentType]  # lists of any
        pairs: list[tuple[Any, Any]] = list(zip(before, after, strict=True))  # pyright: ignore[reportUnknownArgumentType]
        return [place for index, (one, other) in enumerate(pairs) for place in lost(one, other, f"{path}[{index}]")]
    return [] if before == after else [path]


def test_the_samples_show_every_kind_that_people_write() -> None:
    assert {document["kind"] for document in DOCUMENTS.values()} == set(MODELS) - {"IntegrationRecord"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_sample_goes_through_its_model_without_loss(name: str) -> None:
    document = DOCUMENTS[name]

    parsed = MODELS[document["kind"]].model_validate(document["spec"])

    assert lost(document["spec"], parsed.to_api()) == []
    assert MODELS[document["kind"]].model_validate(parsed.to_api()) == parsed


def test_a_field_of_a_newer_version_is_ignored_on_reading() -> None:
    spec = DOCUMENTS["SmsNumber/lamna-sms"]["spec"]
    model = MODELS["SmsNumber"]

    assert model.model_validate({**spec, "fieldOfTheFuture": 1}) == model.model_validate(spec)


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.kind)
def test_a_status_that_nobody_has_written_yet_can_be_read(resource: Any) -> None:
    assert resource.status.model_validate({}).observed_generation == -1
    assert resource.status.model_validate({"observedGeneration": -1}).conditions == []
