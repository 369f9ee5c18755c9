"""The configuration: defaults that work, and errors that name the key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from infra.declared import settings_of, values_of

from ehr_connector.keys.make import KeyKind, new_keys
from ehr_infra.config import PROJECT, ConfigError, parse


def _refusal(stack: str = "production", secret_keys: frozenset[str] = frozenset(), **changes: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        parse(values_of("production", **changes), stack, secret_keys)
    return str(refused.value)


@pytest.mark.parametrize("stack", ["dev", "production"])
def test_a_sample_is_accepted(stack: str) -> None:
    assert settings_of(stack).geography == "Americas"


@pytest.mark.parametrize(
    ("geography", "region", "data_location"),
    [
        ("Americas", "eastus2", "United States"),
        ("Europe", "westeurope", "Europe"),
        ("AsiaPacific", "southeastasia", "Asia Pacific"),
    ],
)
def test_the_geography_decides_region_and_data_location(geography: str, region: str, data_location: str) -> None:
    settings = settings_of("production", geography=geography, region=None, dataLocation=None)

    assert (settings.region, settings.data_location) == (region, data_location)


@pytest.mark.parametrize(
    "key", ["geography", "domain", "tenantID", "adminGroup", "operatorImage", "connectorImage", "git"]
)
def test_a_key_without_a_default_must_be_set(key: str) -> None:
    changes: dict[str, Any] = {key: None}

    assert f"- `{PROJECT}:{key}` must be set" in _refusal("production", frozenset(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"geography": "Mars"}, f"`{PROJECT}:geography`: Input should be 'Americas', 'Europe' or 'AsiaPacific'"),
        ({"region": "westeurope"}, "`region` 'westeurope' is outside `geography` 'Americas'"),
        ({"dataLocation": "Europe"}, "`dataLocation` 'Europe' is outside `geography` 'Americas'"),
        ({"domain": "visits"}, f"`{PROJECT}:domain`"),
        ({"tenantID": "lamna"}, f"`{PROJECT}:tenantID`"),
        ({"adminGroup": {"name": "x"}}, f"`{PROJECT}:adminGroup.objectID` must be set"),
        ({"operatorImage": "registry.lamna.example/ehr-operator"}, f"`{PROJECT}:operatorImage`: must end in a tag"),
        ({"operatorImage": "registry.lamna.example/ehr-operator:latest"}, "other than 'latest'"),
        ({"git": {"url": "https://git.lamna.example/x.git"}}, f"`{PROJECT}:git`: either `tag`"),
        ({"addressSpace": "8.8.0.0/16"}, f"`{PROJECT}:addressSpace`: must be a private network"),
        ({"addressSpace": "10.0.0.0/24"}, "must have a prefix of 16 to 20 bits"),
        ({"addressSpace": "172.30.0.0/16"}, f"`{PROJECT}:addressSpace`: must not overlap '172.30.0.0/16', which AKS"),
        ({"addressSpace": "192.168.16.0/20"}, "must not overlap '192.168.0.0/16'"),
        ({"kubernetesVersion": "1.30"}, f"`{PROJECT}:kubernetesVersion`: must be '1.34' or later"),
        ({"databaseHost": "restored"}, f"`{PROJECT}:databaseHost`"),
        ({"workNodes": {"size": "Standard_D2ds_v5", "minCount": 5, "maxCount": 2}}, f"`{PROJECT}:workNodes`"),
        ({"database": {"tier": "Burstable"}}, f"`{PROJECT}:database`: `zoneRedundant` must be false"),
        ({"zones": ["1"]}, "needs at least two `zones`"),
        ({"apiServerAccess": "AuthorizedRanges"}, "`authorizedRanges` must be given"),
        ({"authorizedRanges": ["198.51.100.0/24"]}, "`authorizedRanges` must be given"),
        ({"name": "EHR"}, f"`{PROJECT}:name`"),
        ({"keys": ["signing.json"]}, f"`{PROJECT}:keys.0`"),
        ({"logRetentionDays": "7"}, f"`{PROJECT}:logRetentionDays`"),
        ({"gitToken": "in plain sight"}, f"`{PROJECT}:gitToken`: must be encrypted"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(changes: dict[str, Any], message: str) -> None:
    assert message in _refusal(**changes)


def test_a_misspelt_key_is_refused_rather_than_its_default_taken() -> None:
    assert f"`{PROJECT}:purchasin` is not known" in _refusal(purchasin="enabled")


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = _refusal(domain=None, tenantID="lamna", purchasin="enabled")

    assert all(key in message for key in ("domain", "tenantID", "purchasin"))


@pytest.mark.parametrize("stack", ["x", "Production", "lamna-production", "productionofvisits"])
def test_a_stack_whose_name_does_not_fit_into_names_is_refused(stack: str) -> None:
    assert f"stack '{stack}'" in _refusal(stack)


def test_a_file_of_each_kind_of_key_is_accepted(tmp_path: Path) -> None:
    """Without its names key the connector would give every visit another name at the next rotation."""
    made = [file.name for file in new_keys(tmp_path, datetime.now(UTC))]

    assert len(made) == len(KeyKind)
    assert settings_of("production", keys=made).keys == tuple(made)


def test_a_value_is_never_repeated_in_an_error() -> None:
    assert "hunter2" not in _refusal(gitToken="hunter2", tenantID="hunter2")


def test_keys_of_the_provider_are_left_alone() -> None:
    values = {**values_of("production"), "azure-native:subscriptionId": "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f"}

    assert parse(values, "production").region == "eastus2"


def test_lists_and_objects_come_as_json_and_text_stays_text() -> None:
    settings = settings_of(
        "production", zones='["1", "3"]', kubernetesVersion="1.40", git='{"url": "https://x.example/y", "tag": "v1"}'
    )

    assert (settings.zones, settings.kubernetes_version, settings.git.tag) == (("1", "3"), "1.40", "v1")
