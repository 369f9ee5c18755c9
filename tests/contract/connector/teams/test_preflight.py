"""The report on Microsoft Graph: each thing that stands in the way, with what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract.connector.running import Connector, Document, organization_path
from contract.connector.running import Starter as ConnectorStarter
from contract.connector.teams_running import SECOND_ORGANIZER, settings_of, teams_document
from contract.graph_stand_in.running import CLIENT, ORGANIZER, TENANT, GraphStandIn

from ehr_api.control import GraphReport
from ehr_clients.control import Control
from ehr_sandbox.local_ca import LocalCA

NOBODY = "5e0f3a10-0000-4000-8000-0000000000ff"


def graph_settings(graph: GraphStandIn, ca: LocalCA, keys_dir: Path, sqlite_url: str) -> dict[str, Any]:
    settings = settings_of(graph, ca, keys_dir, sqlite_url)
    names = ("graph_url", "entra_authority", "entra_instance_discovery", "graph_credential")
    return {name: getattr(settings, name) for name in names}


@pytest.fixture
async def looking(
    graph: GraphStandIn, start: ConnectorStarter, ca: LocalCA, keys_dir: Path, sqlite_url: str
) -> Connector:
    """A connector beside the simulator."""
    return await start(sqlite_url, **graph_settings(graph, ca, keys_dir, sqlite_url))


async def report(connector: Connector, **changes: Any) -> GraphReport:
    return await report_on(connector, teams_document(**changes))


async def report_on(connector: Connector, document: Document) -> GraphReport:
    await connector.put_new(document)
    answer = await connector.get(f"{organization_path(document)}/graph")
    assert answer.status_code == 200, answer.text
    return GraphReport.model_validate_json(answer.content)


async def change(graph: GraphStandIn, path: str, body: dict[str, Any]) -> None:
    answer = await graph.http.patch(f"/_sandbox/{path}", json=body)
    assert answer.is_success, answer.text


async def test_an_organisation_in_which_all_is_granted_has_no_findings(looking: Connector) -> None:
    found = await report(looking)

    assert found.findings == []
    assert found.organizers == 1
    assert "OnlineMeetings.ReadWrite.All" in found.roles


COMMANDS = (
    f"az ad app permission add --id {CLIENT} --api 00000003-0000-0000-c000-000000000000 --api-permissions"
    f" 45bbb07e-7321-4fd7-a8f6-3ff27e6a81c8=Role && az ad app permission admin-consent --id {CLIENT}"
)


@pytest.mark.parametrize(
    ("reports", "is_advice"),
    [
        ({}, True),
        ({"retention": {"visits": "9600h"}}, True),
        ({"thresholds": {}}, False),
        ({"dimensions": [{"name": "network", "source": "NetworkKind"}]}, False),
    ],
)
async def test_who_may_not_read_call_records_is_advised_and_held_back_only_when_call_quality_is_asked_for(
    graph: GraphStandIn, looking: Connector, reports: dict[str, Any], is_advice: bool
) -> None:
    await change(graph, f"apps/{CLIENT}", {"appRoles": ["User.Read.All", "OnlineMeetings.ReadWrite.All"]})

    found = await report_on(looking, teams_document() | {"reports": reports})

    (finding,) = found.findings
    assert (finding.reason.value, finding.is_advice) == ("CallRecordsNotPermitted", is_advice)
    assert finding.remedy == COMMANDS
    assert found.organizers == 1


async def test_a_connector_without_credential_says_which_setting_is_missing(small: Connector) -> None:
    found = await report(small)

    assert [one.reason.value for one in found.findings] == ["GraphNotConfigured"]
    assert "EHR_CONNECTOR_GRAPH_CREDENTIAL" in found.findings[0].remedy
    assert CLIENT in found.findings[0].remedy


async def test_a_secret_that_is_not_taken_names_the_command_for_a_new_one(looking: Connector, keys_dir: Path) -> None:
    (keys_dir / "client-secret").write_text("wrong")

    found = await report(looking)

    assert [one.reason.value for one in found.findings] == ["GraphCredentialRefused"]
    assert "AADSTS7000215" in found.findings[0].message
    assert f"az ad app credential reset --id {CLIENT} --append" in found.findings[0].remedy


async def test_a_tenant_that_does_not_exist_names_the_field(looking: Connector) -> None:
    found = await report(looking, tenantID=NOBODY)

    assert [one.reason.value for one in found.findings] == ["GraphCredentialRefused"]
    assert "microsoft365.tenantID" in found.findings[0].remedy


async def test_permissions_that_are_missing_are_named_with_the_commands(
    graph: GraphStandIn, looking: Connector
) -> None:
    await change(graph, f"apps/{CLIENT}", {"appRoles": ["User.Read.All"]})

    found = await report(looking)

    assert found.roles == ["User.Read.All"]
    assert [one.reason.value for one in found.findings] == ["GraphPermissionsMissing"]
    assert "OnlineMeetings.ReadWrite.All" in found.findings[0].message
    assert found.findings[0].remedy == (
        f"az ad app permission add --id {CLIENT} --api 00000003-0000-0000-c000-000000000000 --api-permissions"
        f" b8bb2037-6e08-44ac-a4ea-4674e010e2a4=Role && az ad app permission admin-consent --id {CLIENT}"
    )


@pytest.mark.parametrize(
    ("body", "reason", "remedy"),
    [
        (
            {"inApplicationAccessPolicy": False},
            "AccessPolicyMissing",
            (
                f"Connect-MicrosoftTeams -TenantId {TENANT}; New-CsApplicationAccessPolicy -Identity ehr-connector -AppIds"
                f' "{CLIENT}"; Grant-CsApplicationAccessPolicy -PolicyName ehr-connector -Identity "{ORGANIZER}"'
            ),
        ),
        ({"accountEnabled": False}, "OrganizerDisabled", f"az ad user update --id {ORGANIZER} --account-enabled true"),
        ({"licenses": ["EXCHANGESTANDARD"]}, "OrganizerNotLicensed", f"Set-MgUserLicense -UserId {ORGANIZER}"),
        ({"disabledPlans": ["TEAMS1"]}, "OrganizerNotLicensed", f"Set-MgUserLicense -UserId {ORGANIZER}"),
    ],
    ids=["policy", "disabled", "no licence", "no plan"],
)
async def test_what_an_organiser_lacks_is_named_with_the_command(
    graph: GraphStandIn, looking: Connector, body: dict[str, Any], reason: str, remedy: str
) -> None:
    await change(graph, f"users/{ORGANIZER}", body)

    found = await report(looking, meetingOrganizers=[ORGANIZER, SECOND_ORGANIZER])

    assert [(one.reason.value, one.organizer) for one in found.findings] == [(reason, ORGANIZER)]
    assert found.findings[0].remedy.startswith(remedy)


async def test_an_organiser_who_does_not_exist_names_the_field(looking: Connector) -> None:
    found = await report(looking, meetingOrganizers=[ORGANIZER, NOBODY])

    assert [(one.reason.value, one.organizer) for one in found.findings] == [("OrganizerNotFound", NOBODY)]
    assert "microsoft365.meetingOrganizers" in found.findings[0].remedy


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"action": "status", "status": 429, "retry_after_s": 7}, "GraphThrottled"),
        ({"action": "status", "status": 503}, "GraphUnavailable"),
        ({"action": "cut"}, "GraphUnavailable"),
        ({"action": "half_answer"}, "GraphUnavailable"),
    ],
)
async def test_a_failure_of_graph_is_told_apart_from_what_people_must_mend(
    graph: GraphStandIn, looking: Connector, rule: dict[str, Any], reason: str
) -> None:
    answer = await graph.http.put("/_sandbox/faults", json=[{**rule, "path": "/v1.0/users/", "count": None}])
    assert answer.is_success, answer.text

    found = await report(looking)

    assert [one.reason.value for one in found.findings] == [reason]


async def test_a_good_report_is_kept_and_not_asked_for_again(graph: GraphStandIn, looking: Connector) -> None:
    first = await report(looking)
    await change(graph, f"users/{ORGANIZER}", {"accountEnabled": False})

    answer = await looking.get(f"{organization_path(teams_document())}/graph")

    assert GraphReport.model_validate_json(answer.content) == first


async def test_the_report_is_for_the_operator_alone(looking: Connector) -> None:
    answer = await looking.http.get(f"{organization_path(teams_document())}/graph")

    assert answer.status_code == 401


async def test_the_operators_client_reads_the_report_and_takes_its_absence_for_an_older_connector(
    looking: Connector,
) -> None:
    await looking.put_new(teams_document())
    looking.http.headers["Authorization"] = f"Bearer {looking.issuer.token()}"
    control = Control(looking.http, "https://visits.lamna.example")

    found = await control.graph("lamna", "lamna")

    assert found is not None
    assert found.findings == []
    assert await control.graph("lamna", "unknown") is None
