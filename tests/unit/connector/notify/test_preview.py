"""The preview shows every message as patients would get it, and names the field of what could not be sent."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.api.template_cases import CASES, Case

from ehr_api.v1alpha1.message_templates import Locale, MessageKind
from ehr_connector.notify.wording.preview import price_table
from ehr_connector.notify.wording.preview_command import preview_messages
from ehr_connector.notify.wording.segments import segments

SAMPLES = Path(__file__).resolve().parents[4] / "deploy" / "samples"
DOCUMENTS: list[dict[str, Any]] = [
    document for file in sorted(SAMPLES.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text("utf-8"))
]


def written(folder: Path, *documents: object) -> Path:
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return path


def config(**spec: object) -> dict[str, Any]:
    sample = next(document for document in DOCUMENTS if document["kind"] == "EHRConnectorConfig")
    return {**sample, "spec": {**sample["spec"], **spec}}


def with_template(case: Case) -> dict[str, Any]:
    section = config()["spec"].get(case.section, {"enabled": True, "senderAddress": "visits@lamna.example"})
    return config(**{case.section: {**section, "templates": [case.template]}})


def previewed(path: Path, **options: Any) -> tuple[int, str, str]:
    out, errors = io.StringIO(), io.StringIO()
    status = preview_messages([path], out=out, errors=errors, **options)
    return status, out.getvalue(), errors.getvalue()


def messages(path: Path, **options: Any) -> list[dict[str, Any]]:
    status, out, errors = previewed(path, as_json=True, **options)
    assert (status, errors) == (0, "")
    return json.loads(out)["messages"]


def test_every_message_is_shown_in_every_language_with_its_size_and_cost() -> None:
    shown = messages(SAMPLES)
    texts = [one for one in shown if one["channel"] == "sms"]

    assert {(one["kind"], one["locale"]) for one in texts} == {
        (kind, locale) for kind in MessageKind for locale in Locale
    }
    assert len(shown) == 4 * (6 + 5)  # there is no e-mail that answers HELP
    for one in texts:
        size = segments(one["text"])
        assert (one["encoding"], one["segments"]) == (size.alphabet, size.count)
        assert Decimal(one["cost"]["US"]) == Decimal("0.0100") * size.count
    assert {one["segments"] for one in shown if one["channel"] == "email"} == {None}


def test_what_the_organisation_has_turned_off_is_marked() -> None:
    assert {one["channel"] for one in messages(SAMPLES) if one["on"]} == {"sms"}


def test_a_confirmation_that_is_not_wanted_is_off(tmp_path: Path) -> None:
    sms = {**config()["spec"]["smsNotifications"], "confirmation": {"onChange": False}, "reminders": []}
    shown = messages(written(tmp_path, config(smsNotifications=sms)))
    assert {one["kind"] for one in shown if one["on"]} == {"Booking", "Cancellation", "Link", "Help"}


def test_own_words_are_shown_for_each_department_with_the_endpoints_that_have_it(tmp_path: Path) -> None:
    case = Case("", "smsNotifications", {"kind": "Link", "locale": "es", "text": "{department} {link} {optOut}"})
    endpoints = [document for document in DOCUMENTS if document["kind"] == "FhirEndpoint"]
    own = [one for one in messages(written(tmp_path, with_template(case), *endpoints)) if one["ownWords"]]

    assert {one["text"].split(" https")[0]: one["endpoints"] for one in own} == {
        "Clinic 4": ["lamna-test", "lamna-production"],
        "Family Medicine": ["lamna-test", "lamna-production"],
        "North Campus": ["lamna-production"],
    }


def test_organisations_of_one_name_in_two_namespaces_are_told_apart(tmp_path: Path) -> None:
    def moved(document: dict[str, Any], **spec: object) -> dict[str, Any]:
        return {
            **document,
            "metadata": {**document["metadata"], "namespace": "elsewhere"},
            "spec": {**document["spec"], **spec},
        }

    case = Case("", "smsNotifications", {"kind": "Link", "locale": "es", "text": "{department} {link} {optOut}"})
    department = {"name": "north", "displayName": "Elsewhere"}
    endpoint = next(document for document in DOCUMENTS if document["kind"] == "FhirEndpoint")
    both = (
        with_template(case),
        *(document for document in DOCUMENTS if document["kind"] == "FhirEndpoint"),
        moved(with_template(case)),
        moved(endpoint, departments=[department]),
    )
    own = [one for one in messages(written(tmp_path, *both)) if one["ownWords"]]

    assert [one["organization"] for one in own] == [*["lamna"] * 3, "elsewhere/lamna"]
    assert [one["text"].split(" https")[0] for one in own][-1] == "Elsewhere"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_template_that_the_api_server_would_refuse_is_named_with_its_field(case: Case, tmp_path: Path) -> None:
    status, out, errors = previewed(written(tmp_path, with_template(case)))

    assert (status, bool(out)) == ((2, False) if case.words else (0, True)), errors
    assert [words for words in case.words if words not in errors] == []
    assert errors.count(f"all.yaml (EHRConnectorConfig lamna): spec.{case.section}.templates[0].") == len(case.words)


def test_two_templates_for_one_occasion_and_language_are_refused(tmp_path: Path) -> None:
    template = {"kind": "Link", "locale": "es", "text": "{link} {optOut}"}
    sms = {**config()["spec"]["smsNotifications"], "templates": [template, template]}
    status, _, errors = previewed(written(tmp_path, config(smsNotifications=sms)))
    assert status == 2
    assert "templates[1] must be the only one of kind Link and locale es: remove one" in errors


def test_a_help_phone_that_is_named_must_be_there(tmp_path: Path) -> None:
    sms = config()["spec"]["smsNotifications"] | {
        "templates": [{"kind": "Help", "locale": "en", "text": "{helpPhone} {optOut}"}]
    }
    status, _, errors = previewed(written(tmp_path, config(smsNotifications=sms, visits={})))
    assert (status, "set spec.visits.helpPhone, or remove the placeholder" in errors) == (2, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "is no YAML"),
        ("kind: Other", "holds no EHRConnectorConfig"),
        (yaml.safe_dump(config(displayName=["x"])), "(EHRConnectorConfig lamna): spec.displayName: "),
        (yaml.safe_dump({**config(), "spec": None}), "(EHRConnectorConfig lamna): spec: "),
    ],
    ids=["no YAML", "nothing of ours", "a field of another type", "no spec"],
)
def test_input_that_is_none_is_told(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(content, encoding="utf-8")
    status, out, errors = previewed(path)
    assert (status, out, words in errors) == (2, "", True), errors


def test_a_list_is_read_like_its_items(tmp_path: Path) -> None:
    listed = {"kind": "List", "apiVersion": "v1", "items": DOCUMENTS}
    assert messages(written(tmp_path, listed)) == messages(SAMPLES)


def test_prices_are_the_readers_own(tmp_path: Path) -> None:
    shown = messages(written(tmp_path, config()), prices=price_table("GB=0.04,FR=0.07"))
    link = next(one for one in shown if (one["kind"], one["locale"], one["channel"]) == ("Booking", "en", "sms"))
    assert link["cost"] == {"GB": "0.08", "FR": "0.14"}


@pytest.mark.parametrize("text", [",", "0.01", "US=", "US=x", "US=-1", "US=NaN", "=1"])
def test_a_price_table_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        price_table(text)


def test_the_command_prints_for_people_and_ends_with_2_on_a_bad_template(tmp_path: Path) -> None:
    bad = next(case for case in CASES if case.words)
    command = [sys.executable, "-m", "ehr_connector", "preview-messages", "--filename"]
    good = subprocess.run([*command, str(SAMPLES)], capture_output=True, text=True, check=False, timeout=60)
    refused = subprocess.run(
        [*command, str(written(tmp_path, with_template(bad)))], capture_output=True, text=True, check=False, timeout=60
    )

    assert good.returncode == 0
    assert "Link, en, text, built-in: GSM-7, 1 segment, about US $0.0100" in good.stdout
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "templates[0].text must hold" in refused.stderr
