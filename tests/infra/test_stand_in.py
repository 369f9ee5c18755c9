"""The stand-in for Azure is strict where a lenient one would hide mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from ehr_sandbox.pulumi_provider.input_types import UNKNOWN, Problem, UnknownTypeError, problems
from ehr_sandbox.pulumi_provider.resource_ids import NoIdError, resource_id

ACCOUNT = "azure-native:storage:StorageAccount"


def _account(**changes: Any) -> dict[str, Any]:
    return {
        "accountName": "lamna",
        "resourceGroupName": "rg",
        "kind": "StorageV2",
        "sku": {"name": "Standard_ZRS"},
    } | changes


def test_what_the_sdk_would_send_is_accepted() -> None:
    assert problems(ACCOUNT, _account(tags={"a": "b"}, networkRuleSet={"defaultAction": "Deny", "ipRules": []})) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"minimumTlsVersoin": "TLS1_2"}, "minimumTlsVersoin"),
        ({"minimum_tls_version": "TLS1_2"}, "minimum_tls_version"),
        ({"kind": None}, "kind"),
        ({"sku": {}}, "sku.name"),
        ({"sku": "Standard_ZRS"}, "sku"),
        ({"minimumTlsVersion": "1.2"}, "minimumTlsVersion"),
        ({"enableHttpsTrafficOnly": "true"}, "enableHttpsTrafficOnly"),
        ({"networkRuleSet": {"defaultAction": "Refuse"}}, "networkRuleSet.defaultAction"),
        ({"networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"action": "Allow"}]}}, "networkRuleSet.ipRules[0]."),
        ({"tags": ["a"]}, "tags"),
        ({"tags": {"a": 1.0}}, "tags.a"),
    ],
)
def test_what_is_misspelt_missing_or_of_another_type_is_named(changes: dict[str, Any], path: str) -> None:
    found = problems(ACCOUNT, _account(**changes))

    assert len(found) == 1
    assert found[0].path.startswith(path)


def test_a_value_that_is_known_later_fits_everywhere() -> None:
    assert problems(ACCOUNT, _account(enableHttpsTrafficOnly=UNKNOWN, sku=UNKNOWN, tags=UNKNOWN)) == []


def test_whole_numbers_come_as_fractions_and_fractions_do_not_fit() -> None:
    pool = {"resourceGroupName": "rg", "resourceName": "aks", "count": 3.0}

    assert problems("azure-native:containerservice:AgentPool", pool) == []
    assert problems("azure-native:containerservice:AgentPool", pool | {"count": 2.5}) == [
        Problem("count", "must be of type int")
    ]


@pytest.mark.parametrize("token", ["azure-native:storage:Account", "azure-native:nothing:StorageAccount"])
def test_a_type_that_the_sdk_does_not_have_is_an_error(token: str) -> None:
    with pytest.raises(UnknownTypeError):
        problems(token, {})


def test_a_resource_without_a_name_of_ours_is_refused() -> None:
    with pytest.raises(NoIdError, match="`accountName` must be given"):
        resource_id(ACCOUNT, {"resourceGroupName": "rg"})
