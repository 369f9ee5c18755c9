"""Both sample stacks keep to every policy, and every policy notices when something does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from infra import policies
from infra.policies import Policy, Resources

from ehr_infra.geography import Geography
from ehr_sandbox.pulumi_provider.world import Recorded


@pytest.mark.parametrize("policy", policies.ALL, ids=lambda policy: policy.__name__)
@pytest.mark.parametrize("stack", ["dev", "production"])
def test_a_sample_stack_keeps_to_the_policy(policy: Policy, stack: str, request: pytest.FixtureRequest) -> None:
    resources: Resources = request.getfixturevalue(stack)

    assert list(policy(resources)) == []


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda inputs: inputs.update(values)


@pytest.mark.parametrize(
    ("policy", "name", "change"),
    [
        (policies.inputs_are_known_to_the_sdk, "vault", _set(vaultNmae="x")),
        (policies.inputs_are_known_to_the_sdk, "events-account", lambda inputs: inputs.pop("sku")),
        (policies.inputs_are_known_to_the_sdk, "registry", _set(publicNetworkAccess="Off")),
        (policies.inputs_are_known_to_the_sdk, "work-nodes", _set(count="three")),
        (policies.tls_is_1_2_or_later, "events-account", _set(minimumTlsVersion="TLS1_1")),
        (policies.tls_is_1_2_or_later, "database-ssl_min_protocol_version", _set(value="TLSv1")),
        (policies.no_database_is_public, "database-server", _set(network={"publicNetworkAccess": "Enabled"})),
        (policies.no_storage_is_public, "events-account", _set(networkRuleSet={"defaultAction": "Allow"})),
        (policies.no_storage_is_public, "dead-letters", _set(publicAccess="Blob")),
        (policies.no_vault_is_public, "vault", lambda inputs: inputs["properties"].pop("publicNetworkAccess")),
        (
            policies.the_vault_is_kept_and_opened_by_roles,
            "vault",
            lambda inputs: inputs["properties"].update(enablePurgeProtection=False),
        ),
        (policies.nothing_is_opened_by_a_key_or_password, "communication", _set(disableLocalAuth=False)),
        (
            policies.nothing_is_opened_by_a_key_or_password,
            "database-server",
            _set(authConfig={"passwordAuth": "Enabled"}),
        ),
        (policies.no_secret_is_a_plain_input, "database-server", _set(administratorLoginPassword="hunter2")),
        (policies.everything_is_watched, "vault-diagnostics", _set(logs=[])),
        pytest.param(
            policies.everything_is_watched, "events-blobs-diagnostics", _set(logs=[]), id="everything_is_watched-blobs"
        ),
        (
            policies.metrics_are_asked_of_what_has_them,
            "rules-nodes-diagnostics",
            _set(metrics=[{"category": "AllMetrics", "enabled": True}]),
        ),
        (
            policies.no_range_is_one_that_aks_keeps_or_another_has,
            "cluster",
            lambda inputs: inputs["networkProfile"].update(serviceCidr="172.30.0.0/16"),
        ),
        pytest.param(
            policies.no_range_is_one_that_aks_keeps_or_another_has,
            "vnet",
            _set(addressSpace={"addressPrefixes": ["192.168.0.0/20"]}),
            id="no_range_is_one_that_aks_keeps_or_another_has-pods",
        ),
        (policies.nodes_have_the_version_of_their_cluster, "work-nodes", _set(orchestratorVersion="1.33")),
        (
            policies.nobody_who_is_written_to_is_logged,
            "communication-diagnostics",
            _set(logs=[{"categoryGroup": "allLogs", "enabled": True}]),
        ),
        pytest.param(
            policies.nobody_who_is_written_to_is_logged,
            "communication-diagnostics",
            _set(logs=[{"category": "Usage", "enabled": True}]),
            id="nobody_who_is_written_to_is_logged-usage",
        ),
        (
            policies.what_could_not_be_delivered_is_not_kept_for_ever,
            "dead-letters-end",
            lambda inputs: inputs["policy"]["rules"][0].update(enabled=False),
        ),
        (
            policies.a_stand_by_is_reached_by_its_database,
            "rules-private",
            lambda inputs: inputs["securityRules"].pop(1),
        ),
        (
            policies.nobody_is_owner_or_alike,
            "ehr-operator-uses-communication-may",
            _set(roleDefinitionId="/x/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"),
        ),
        (policies.nobody_is_owner_or_alike, "role-communication", _set(permissions=[{"actions": ["*"]}])),
        (policies.the_cluster_trusts_entra_alone, "cluster", _set(apiServerAccessProfile={})),
        (policies.nothing_is_outside(Geography.AMERICAS), "vault", _set(location="West Europe")),
        (policies.nothing_is_outside(Geography.AMERICAS), "communication", _set(dataLocation="Europe")),
    ],
)
def test_a_policy_notices_what_breaks_it(
    policy: Policy, name: str, change: Callable[[dict[str, Any]], None], production: dict[str, Recorded]
) -> None:
    broken = copy.deepcopy(production)
    change(broken[name].inputs)

    assert list(policy(broken)) != []
