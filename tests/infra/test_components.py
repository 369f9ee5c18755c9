"""What the settings change in what is declared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from infra import declared, policies

from ehr_api.crd import KINDS
from ehr_sandbox.pulumi_provider.world import Recorded

Declare = Callable[..., dict[str, Recorded]]

_LOCATION = {"Americas": "eastus2", "Europe": "westeurope", "AsiaPacific": "southeastasia"}


@pytest.fixture
def declare(pulumi_process: ProcessPoolExecutor) -> Declare:
    """Declare the production sample with changes."""

    def declaring(fault: declared.Fault = "none", **changes: Any) -> dict[str, Recorded]:
        return dict(pulumi_process.submit(declared.declare, "production", changes, fault).result())

    return declaring


@pytest.mark.parametrize("geography", ["Europe", "AsiaPacific"])
def test_everything_moves_with_the_geography(geography: str, declare: Declare) -> None:
    resources = declare(geography=geography, region=None, dataLocation=None)

    assert list(policies.nothing_is_outside(policies.Geography(geography))(resources)) == []
    regions = {found.inputs.get("location") for found in resources.values()} - {None, "global"}
    assert regions == {_LOCATION[geography]}


def test_a_resource_outside_the_geography_is_refused(declare: Declare) -> None:
    with pytest.raises(RuntimeError, match="outside the geography 'Americas'"):
        declare("elsewhere")


def test_azure_itself_refuses_what_is_outside_the_geography(declare: Declare) -> None:
    assignment = declare(geography="Europe", region=None, dataLocation=None)["inside-geography"].inputs
    allowed = assignment["parameters"]["listOfAllowedLocations"]["value"]

    assert assignment["scope"].endswith("/resourceGroups/ehr-production-rg")
    assert assignment["enforcementMode"] == "Default"
    assert "westeurope" in allowed
    assert not {"eastus2", "southeastasia"} & set(allowed)


def test_numbers_are_locked_in_azure_unless_the_stack_is_for_trying(
    production: dict[str, Recorded], dev: dict[str, Recorded]
) -> None:
    assert production["communication-lock"].inputs["level"] == "CanNotDelete"
    assert "communication-lock" not in dev


def test_the_operator_may_hold_numbers_and_nothing_else(production: dict[str, Recorded]) -> None:
    identity = production["ehr-operator"].computed["principalId"]
    scopes = [
        inputs["scope"].rpartition("/")[2]
        for _, inputs in policies.of(production, "authorization:RoleAssignment")
        if inputs["principalId"] == identity
    ]

    assert scopes == [production["communication"].inputs["communicationServiceName"]]
    assert production["role-communication"].inputs["permissions"][0]["actions"] == [
        "Microsoft.Communication/CommunicationServices/Read",
        "Microsoft.Communication/CommunicationServices/Write",
    ]


def test_the_web_part_sends_and_reads_keys_but_not_the_queue(production: dict[str, Recorded]) -> None:
    identity = production["ehr-connector-web"].computed["principalId"]
    scopes = {
        inputs["scope"].split("/providers/")[-1].split("/")[0]
        for _, inputs in policies.of(production, "authorization:RoleAssignment")
        if inputs["principalId"] == identity
    }

    assert scopes == {"Microsoft.Communication", "Microsoft.KeyVault"}


def test_events_go_into_the_queue_and_what_cannot_be_delivered_is_kept(production: dict[str, Recorded]) -> None:
    subscription = production["events-subscription"].inputs
    delivery = subscription["deliveryWithResourceIdentity"]["destination"]
    dead_letters = subscription["deadLetterWithResourceIdentity"]["deadLetterDestination"]

    assert (delivery["endpointType"], delivery["queueName"]) == ("StorageQueue", "acs-events")
    assert dead_letters["blobContainerName"] == production["dead-letters"].inputs["containerName"]
    assert "Microsoft.Communication.SMSDeliveryReportReceived" in subscription["filter"]["includedEventTypes"]


def test_the_api_server_is_private_or_reached_from_named_ranges_alone(
    production: dict[str, Recorded], dev: dict[str, Recorded]
) -> None:
    assert production["cluster"].inputs["apiServerAccessProfile"]["enablePrivateCluster"] is True
    address = dev["outbound-address"].computed["ipAddress"]
    # With the address of the nodes, which could not join otherwise.
    assert dev["cluster"].inputs["apiServerAccessProfile"]["authorizedIPRanges"] == ["198.51.100.0/24", f"{address}/32"]


def test_nodes_and_the_database_of_production_are_spread_over_zones(production: dict[str, Recorded]) -> None:
    cluster, database = production["cluster"].inputs, production["database-server"].inputs

    assert cluster["agentPoolProfiles"][0]["availabilityZones"] == ["1", "2", "3"]
    assert production["work-nodes"].inputs["availabilityZones"] == ["1", "2", "3"]
    assert database["highAvailability"] == {"mode": "ZoneRedundant", "standbyAvailabilityZone": "2"}


@pytest.mark.parametrize(
    ("geography", "day", "hour"), [("Americas", "Sunday", 9), ("Europe", "Sunday", 2), ("AsiaPacific", "Saturday", 19)]
)
def test_nothing_is_upgraded_while_there_are_visits(geography: str, day: str, hour: int, declare: Declare) -> None:
    resources = declare(geography=geography, region=None, dataLocation=None)
    windows = [
        inputs["maintenanceWindow"] for _, inputs in policies.of(resources, "containerservice:MaintenanceConfiguration")
    ]
    database = resources["database-server"].inputs["maintenanceWindow"]

    assert [window["schedule"]["weekly"]["dayOfWeek"] for window in windows] == [day, day]
    assert {window["startTime"] for window in windows} == {f"{hour:02}:00"}
    assert (database["dayOfWeek"], database["startHour"]) == ({"Sunday": 0, "Saturday": 6}[day], hour)


def test_alerts_reach_people_where_there_are_some(production: dict[str, Recorded], dev: dict[str, Recorded]) -> None:
    alert = production["database-down"].inputs

    assert alert["actions"][0]["actionGroupId"].endswith("/actionGroups/ehr-production-alerts")
    assert production["alert-people"].inputs["emailReceivers"][0]["emailAddress"] == "visits-on-call@lamna.example"
    assert "alert-people" not in dev


def test_an_alert_is_raised_about_each_kind_that_the_operator_speaks_of(production: dict[str, Recorded]) -> None:
    [condition] = production["resources-troubled"].inputs["criteria"]["allOf"]

    assert re.findall(r"'(\w+)'", condition["query"].partition("ObjectKind")[2]) == [one.kind for one in KINDS]


def test_a_line_of_the_programs_that_says_error_is_found_by_its_level(production: dict[str, Recorded]) -> None:
    program = "import logging; from ehr_program.logs import log_as_json; log_as_json('INFO'); logging.error('failed')"
    line = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stderr
    [condition] = production["errors-logged"].inputs["criteria"]["allOf"]
    [(key, levels)] = re.findall(r"[.](\w+)\) in \((.*)\)", condition["query"])

    assert json.loads(line)[key] in re.findall(r"\w+", levels)


def test_a_token_for_git_is_a_protected_setting(declare: Declare) -> None:
    flux = declare(gitToken="of-a-robot")["connector"].inputs

    assert flux["gitRepository"]["httpsUser"] == "git"
    assert "of-a-robot" not in str(flux)
    assert "httpsKey" in str(flux["configurationProtectedSettings"])


def test_every_resource_that_takes_tags_has_the_configured_ones(production: dict[str, Recorded]) -> None:
    tagged = [found.inputs["tags"] for found in production.values() if "tags" in found.inputs]

    assert len(tagged) > 30
    assert all(tags["costCentre"] == "4711" and tags["stack"] == "production" for tags in tagged)


def test_keys_are_named_to_flux_as_the_vault_names_them(declare: Declare) -> None:
    flux = declare(keys=["20260131T120000Z-1a2b3c4d.jwk.json"])["connector"].inputs
    value = flux["kustomizations"]["connector"]["postBuild"]["substitute"]["EHR_KEYS"]

    assert "20260131T120000Z-1a2b3c4d-jwk-json" in value


def test_pods_start_anew_when_a_value_of_the_stack_changes(declare: Declare, production: dict[str, Recorded]) -> None:
    def digest(resources: dict[str, Recorded]) -> str:
        flux = resources["connector"].inputs
        return flux["kustomizations"]["connector"]["postBuild"]["substitute"]["EHR_VALUES_DIGEST"]

    assert digest(declare()) == digest(production)
    assert digest(declare(purchasing="enabled")) != digest(production)


def test_a_new_version_of_kubernetes_reaches_the_nodes_too(declare: Declare) -> None:
    resources = declare(kubernetesVersion="1.36")

    assert resources["cluster"].inputs["agentPoolProfiles"][0]["orchestratorVersion"] == "1.36"
    assert resources["work-nodes"].inputs["orchestratorVersion"] == "1.36"
    assert list(policies.nodes_have_the_version_of_their_cluster(resources)) == []


def test_the_connector_is_led_to_a_restored_database(declare: Declare) -> None:
    host = "restored.postgres.database.azure.com"

    substitute = declare(databaseHost=host)["connector"].inputs["kustomizations"]["connector"]["postBuild"][
        "substitute"
    ]

    assert substitute["EHR_DATABASE_HOST"] == host
