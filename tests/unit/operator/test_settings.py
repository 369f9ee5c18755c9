"""The operator's settings: what they default to, and what is refused, all at once and without repeating a value."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from ehr_operator.settings import Settings
from ehr_program.settings import SettingsError, help_text, load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("EHR_OPERATOR_"):
            monkeypatch.delenv(name)


def test_nothing_has_to_be_set() -> None:
    settings = load(Settings)

    assert settings.purchasing == "enabled"
    assert settings.leader_election == "enabled"
    assert settings.acs_credential == "workload-identity"
    assert (settings.trusted_urls, settings.allowed_networks, settings.ca_file) == ((), (), None)


def test_several_values_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EHR_OPERATOR_ALLOWED_NETWORKS", "10.20.0.0/16, fd00::/8,")
    monkeypatch.setenv("EHR_OPERATOR_TRUSTED_URLS", "https://a.example:8443,https://b.example")

    settings = load(Settings)

    assert settings.allowed_networks == (IPv4Network("10.20.0.0/16"), IPv6Network("fd00::/8"))
    assert settings.trusted_urls == ("https://a.example:8443", "https://b.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACS_CREDENTIAL", "AccountKey=hunter2"),
        ("ACS_CREDENTIAL", "file:"),
        ("TRUSTED_URLS", "https://a.example,http://hunter2.example"),
        ("ALLOWED_NETWORKS", "10.20.0.1/16"),
        ("ALLOWED_NETWORKS", "hunter2"),
        ("CA_FILE", "/nowhere/hunter2.pem"),
        ("PURCHASING", "hunter2"),
        ("PURCHASING", "ENABLED"),
        ("LEADER_ELECTION", "hunter2"),
        ("NAMESPACE", "Hunter2"),
        ("IDENTITY", ""),
        ("RELIST_SECONDS", "1"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("LOG_LEVEL", "hunter2"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EHR_OPERATOR_{name}", value)

    with pytest.raises(SettingsError, match=f"EHR_OPERATOR_{name}: ") as refusal:
        load(Settings)

    assert "hunter2" not in str(refusal.value)


def test_all_problems_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"PORT": "none", "PURCHASING": "maybe", "RELIST_SECONDS": "-1"}
    for name, value in wrong.items():
        monkeypatch.setenv(f"EHR_OPERATOR_{name}", value)

    with pytest.raises(SettingsError) as refusal:
        load(Settings)

    named = [line.split(":")[0].strip() for line in str(refusal.value).splitlines()[1:]]
    assert named == sorted(f"EHR_OPERATOR_{name}" for name in wrong)


def test_a_file_of_authorities_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    path.touch()
    monkeypatch.setenv("EHR_OPERATOR_CA_FILE", str(path))

    assert load(Settings).ca_file == path


def test_the_help_describes_every_setting() -> None:
    text = help_text(Settings)

    assert [name for name in Settings.model_fields if f"EHR_OPERATOR_{name.upper()}\n" not in text] == []
    assert [name for name, setting in Settings.model_fields.items() if not setting.description] == []
