"""Settings: every problem at once, every variable explained, no value repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ehr_connector.settings import DatabaseSettings, Settings
from ehr_connector.store import migrate
from ehr_program.settings import SettingsError, help_text, load

SECRET = "hunter2-s3cret"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that describes a connector, and nothing else of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EHR_CONNECTOR_GEOGRAPHY", "Europe")
    monkeypatch.setenv("EHR_CONNECTOR_KEYS_DIR", str(tmp_path))
    monkeypatch.setenv("EHR_CONNECTOR_CONTROL_ISSUER", "https://issuer.example")
    return monkeypatch


def problems() -> str:
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    assert caught.value.__cause__ is None
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("environment")
def test_what_is_not_given_has_a_default_that_serves() -> None:
    settings = load(Settings)
    assert (settings.port, settings.control_audience, settings.log_level) == (8443, "ehr-connector", "INFO")
    assert settings.database_url.startswith("sqlite+aiosqlite:///")
    assert settings.allowed_networks == ()


def test_all_problems_are_told_at_once(environment: pytest.MonkeyPatch) -> None:
    for name in ("GEOGRAPHY", "KEYS_DIR"):
        environment.delenv(f"EHR_CONNECTOR_{name}")
    environment.setenv("EHR_CONNECTOR_CONTROL_ISSUER", f"http://{SECRET}")
    environment.setenv("EHR_CONNECTOR_DATABASE_URL", f"mysql://user:{SECRET}@host/db")
    environment.setenv("EHR_CONNECTOR_PORT", "65536")
    environment.setenv("EHR_CONNECTOR_LOG_LEVEL", SECRET)
    environment.setenv("EHR_CONNECTOR_CA_FILE", f"/{SECRET}")
    environment.setenv("EHR_CONNECTOR_ALLOWED_NETWORKS", f"10.0.0.0/8, {SECRET}")
    told = problems()
    for name in (
        "GEOGRAPHY: is required",
        "KEYS_DIR: is required",
        "CONTROL_ISSUER",
        "DATABASE_URL",
        "PORT",
        "LOG_LEVEL",
        "CA_FILE",
        "ALLOWED_NETWORKS: item 1",
    ):
        assert f"EHR_CONNECTOR_{name}" in told


def test_a_network_with_host_bits_is_a_problem(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EHR_CONNECTOR_ALLOWED_NETWORKS", "10.0.0.1/8")
    assert "EHR_CONNECTOR_ALLOWED_NETWORKS" in problems()


def test_several_networks_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EHR_CONNECTOR_ALLOWED_NETWORKS", " 10.20.0.0/16 ,fd00::/8,, ")
    assert [str(network) for network in load(Settings).allowed_networks] == ["10.20.0.0/16", "fd00::/8"]


def test_other_variables_with_the_prefix_are_no_problem(environment: pytest.MonkeyPatch) -> None:
    # Kubernetes sets such variables for every Service of a namespace.
    environment.setenv("EHR_CONNECTOR_SERVICE_HOST", "10.0.0.1")
    assert load(Settings).port == 8443


def test_the_database_url_shows_in_no_representation(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EHR_CONNECTOR_DATABASE_URL", f"postgresql+psycopg://user:{SECRET}@host/db")
    assert SECRET not in repr(load(Settings))


def test_migrations_need_the_database_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EHR_CONNECTOR_DATABASE_URL", "postgresql+psycopg://user@host/db")
    assert load(DatabaseSettings).database_url == "postgresql+psycopg://user@host/db"


def test_a_token_for_the_database_is_no_use_to_sqlite(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EHR_CONNECTOR_DATABASE_CREDENTIAL", "workload-identity")
    assert "EHR_CONNECTOR_DATABASE_CREDENTIAL is for a database of PostgreSQL" in problems()


def test_help_explains_every_variable_and_says_which_are_required() -> None:
    shown = help_text(Settings)
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"EHR_CONNECTOR_{name.upper()}\n" in shown
    assert shown.count("(required)") == 3


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ehr_connector", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
        timeout=60,
    )


def test_the_command_lists_every_variable_in_its_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert not [name for name in Settings.model_fields if f"EHR_CONNECTOR_{name.upper()}" not in done.stdout]


def test_the_command_ends_with_status_2_when_settings_are_wrong(tmp_path: Path) -> None:
    done = run(EHR_CONNECTOR_KEYS_DIR=str(tmp_path), EHR_CONNECTOR_DATABASE_URL=f"mysql://{SECRET}")
    assert done.returncode == 2
    assert "EHR_CONNECTOR_GEOGRAPHY: is required" in done.stderr
    assert "EHR_CONNECTOR_DATABASE_URL" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_makes_a_key_of_each_kind_without_any_settings(tmp_path: Path) -> None:
    done = run("new-key", str(tmp_path / "keys"))
    assert done.returncode == 0
    made = [Path(line) for line in done.stdout.splitlines()]
    assert sorted(made) == sorted((tmp_path / "keys").iterdir())
    assert {path.name.partition(".")[2] for path in made} == {
        "jwk.json",
        "names.json",
        "secret.json",
        "notification.pem",
    }


def test_the_command_makes_only_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    done = run("new-key", str(tmp_path / "keys"), "--kind", "secret")
    assert done.returncode == 0
    assert [path.name.partition(".")[2] for path in (tmp_path / "keys").iterdir()] == ["secret.json"]


def test_the_command_migrates_with_the_database_alone(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"
    first, second = (run("migrate", EHR_CONNECTOR_DATABASE_URL=url) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    versions = Path(migrate.__file__).parent / "migrations/versions"
    newest = max(file.name.partition("_")[0] for file in versions.glob("0*.py"))
    assert first.stdout == second.stdout == f"The database is at revision {newest}.\n"


def test_an_identity_that_the_pod_was_not_given_is_named() -> None:
    done = run(
        "migrate",
        EHR_CONNECTOR_DATABASE_URL="postgresql+psycopg://user@host/db",
        EHR_CONNECTOR_DATABASE_CREDENTIAL="workload-identity",
        AZURE_TENANT_ID="72f988bf-0000-4000-8000-000000000001",
    )
    assert done.returncode == 2
    assert done.stderr == (
        "workload-identity needs AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE, which Azure's webhook sets in the pod\n"
    )


@pytest.mark.parametrize("alone", ["TLS_CERT_FILE", "TLS_KEY_FILE"])
def test_certificate_and_key_go_together(environment: pytest.MonkeyPatch, tmp_path: Path, alone: str) -> None:
    (tmp_path / "file.pem").write_text("")
    environment.setenv(f"EHR_CONNECTOR_{alone}", str(tmp_path / "file.pem"))
    told = problems()
    assert "EHR_CONNECTOR_TLS_CERT_FILE" in told
    assert "EHR_CONNECTOR_TLS_KEY_FILE" in told
