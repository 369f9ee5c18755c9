"""What Flux would apply: the overlay with the stack's outputs in place is whole, and says what the stack says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.declared import REPOSITORY

from ehr_sandbox.pulumi_provider.world import Recorded

Documents = list[dict[str, Any]]

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


def _kustomize(kubectl: Path, path: str) -> str:
    built = subprocess.run([kubectl, "kustomize", REPOSITORY / path], check=True, capture_output=True, text=True)
    return built.stdout


def _flux(resources: Mapping[str, Recorded]) -> dict[str, Any]:
    return resources["connector"].inputs["kustomizations"]


def _substitutions(resources: Mapping[str, Recorded]) -> dict[str, str]:
    return _flux(resources)["operator"]["postBuild"]["substitute"]


@pytest.fixture(scope="module")
def rendered(kubectl: Path, production: dict[str, Recorded]) -> Documents:
    """The overlay with the production stack's values, as Flux would put them in."""
    values = _substitutions(production)
    text = _VARIABLE.sub(lambda found: values[found[1]], _kustomize(kubectl, "deploy/overlays/azure"))
    return [document for document in yaml.safe_load_all(text) if document]


def _of(documents: Documents, kind: str, name: str) -> dict[str, Any]:
    found = [each for each in documents if each["kind"] == kind and re.fullmatch(name, each["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
    return found[0]


def test_the_stack_gives_every_value_that_the_overlay_wants(kubectl: Path, production: dict[str, Recorded]) -> None:
    wanted = set(_VARIABLE.findall(_kustomize(kubectl, "deploy/overlays/azure")))

    assert wanted <= _substitutions(production).keys()
    assert all(_substitutions(production)[name] for name in wanted)


def test_nothing_is_left_to_be_put_in(rendered: Documents) -> None:
    assert "${" not in json.dumps(rendered)


def test_every_folder_that_flux_is_told_of_can_be_built(kubectl: Path, production: dict[str, Recorded]) -> None:
    for kustomization in _flux(production).values():
        assert _kustomize(kubectl, kustomization["path"]).strip()


def test_what_flux_reads_is_where_aks_lets_it_read_and_refers_to_nothing_elsewhere(
    kubectl: Path, production: dict[str, Recorded]
) -> None:
    """AKS's Flux takes no reference into another namespace, and has rights in that of its FluxConfiguration alone."""
    namespace = production["connector"].inputs["namespace"]
    platform = _kustomize(kubectl, _flux(production)["platform"]["path"])
    documents: Documents = list(yaml.safe_load_all(platform))
    releases = [each for each in documents if each["kind"] == "HelmRelease"]
    made = {each["metadata"]["name"] for each in documents if each["kind"] == "Namespace"}

    assert {each["metadata"].get("namespace") for each in documents} == {None, namespace}
    references = [
        reference
        for release in releases
        for reference in (release["spec"]["chart"]["spec"]["sourceRef"], *release["spec"].get("dependsOn", []))
    ]
    assert len(references) > len(releases)
    assert [reference for reference in references if "namespace" in reference] == []
    assert {release["spec"]["targetNamespace"] for release in releases} == made
    # Or the release, and what it installs, would be named after its namespace too.
    assert all(release["spec"]["releaseName"] == release["metadata"]["name"] for release in releases)


def test_an_organisation_in_git_waits_for_an_operator_that_is_there_on_azure_and_elsewhere(
    production: dict[str, Recorded],
) -> None:
    """Flux waits without end for what nobody has told it of; on AKS a part's name begins with its FluxConfiguration's."""
    folder = REPOSITORY / "deploy" / "gitops" / "flux"
    [organization] = yaml.safe_load_all((folder / "organization.yaml").read_text())
    elsewhere = list(yaml.safe_load_all((folder / "system.yaml").read_text()))
    told = {(each["kind"], each["metadata"]["name"]) for each in elsewhere}
    on_azure = {f"{production['connector'].inputs['fluxConfigurationName']}-{part}" for part in _flux(production)}
    waited_for = {each["name"] for each in organization["spec"]["dependsOn"]}

    assert waited_for <= on_azure
    assert {("Kustomization", name) for name in waited_for} <= told
    for each in (organization, *elsewhere):
        if each["kind"] == "Kustomization":
            source = each["spec"]["sourceRef"]
            assert (source["kind"], source["name"]) in told


def test_the_crds_and_the_platform_come_first_and_are_never_pruned(production: dict[str, Recorded]) -> None:
    flux = _flux(production)

    assert set(flux["operator"]["dependsOn"]) == {"crds", "platform"}
    assert flux["connector"]["dependsOn"] == ["operator"]
    pruned = {name: kustomization["prune"] for name, kustomization in flux.items()}
    assert pruned == {"crds": False, "platform": False, "operator": True, "connector": True}
    assert flux["operator"]["postBuild"] == flux["connector"]["postBuild"]


def test_one_up_ends_in_a_running_operator_and_waits_for_nothing_that_people_do_later(
    kubectl: Path, production: dict[str, Recorded]
) -> None:
    flux = _flux(production)
    waited_for = [name for name, kustomization in flux.items() if kustomization["wait"]]
    rendered = "\n---\n".join(_kustomize(kubectl, flux[name]["path"]) for name in waited_for)
    deployments = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] == "Deployment"]

    assert production["connector"].inputs["waitForReconciliation"] is True
    assert [one["metadata"]["name"] for one in deployments] == ["ehr-operator"]
    # What its pods need of Secrets is made before: by cert-manager, in the same part.
    volumes = deployments[0]["spec"]["template"]["spec"]["volumes"]
    made = {one["spec"]["secretName"] for one in yaml.safe_load_all(rendered) if one and one["kind"] == "Certificate"}
    assert {volume["secret"]["secretName"] for volume in volumes if "secret" in volume} <= made
    assert not [volume for volume in volumes if "csi" in volume]


def test_the_parts_that_flux_applies_are_together_what_is_applied_by_hand(
    kubectl: Path, production: dict[str, Recorded]
) -> None:
    parts = [_kustomize(kubectl, _flux(production)[name]["path"]) for name in ("operator", "connector")]
    together = [one for part in parts for one in yaml.safe_load_all(part)]
    by_hand = list(yaml.safe_load_all(_kustomize(kubectl, "deploy/overlays/azure")))

    assert sorted(together, key=json.dumps) == sorted(by_hand, key=json.dumps)


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        ("ehr-operator", "EHR_OPERATOR_IMAGE"),
        ("ehr-connector-web", "EHR_CONNECTOR_IMAGE"),
        ("ehr-connector-worker", "EHR_CONNECTOR_IMAGE"),
    ],
)
def test_pods_run_the_configured_image_under_their_own_identity(
    deployment: str, image: str, rendered: Documents, production: dict[str, Recorded]
) -> None:
    pod = _of(rendered, "Deployment", deployment)["spec"]["template"]
    account = _of(rendered, "ServiceAccount", pod["spec"]["serviceAccountName"])
    credential = production[f"{deployment}-credential"].inputs
    identity = production[deployment].computed["clientId"]

    assert pod["spec"]["containers"][0]["image"] == _substitutions(production)[image]
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert account["metadata"]["annotations"]["azure.workload.identity/client-id"] == identity
    namespace = account["metadata"]["namespace"]
    assert credential["subject"] == f"system:serviceaccount:{namespace}:{account['metadata']['name']}"


def test_the_connector_trusts_tokens_of_this_cluster_and_serves_its_geography(
    rendered: Documents, production: dict[str, Recorded]
) -> None:
    settings = _of(rendered, "ConfigMap", "ehr-connector-[a-z0-9]+")["data"]

    assert settings["EHR_CONNECTOR_CONTROL_ISSUER"] == production["cluster"].computed["oidcIssuerProfile"]["issuerURL"]
    assert settings["EHR_CONNECTOR_GEOGRAPHY"] == "Americas"


@pytest.mark.parametrize("deployment", ["ehr-connector-web", "ehr-connector-worker"])
def test_the_connector_reaches_its_database_without_a_password(deployment: str, rendered: Documents) -> None:
    container = _of(rendered, "Deployment", deployment)["spec"]["template"]["spec"]["containers"][0]
    variables = {each["name"]: each for each in container["env"]}

    url = variables["EHR_CONNECTOR_DATABASE_URL"]
    assert url.keys() == {"name", "value"}
    assert url["value"].startswith(f"postgresql+psycopg://{deployment}@ehr-production-pg-")
    assert "sslmode=verify-full" in url["value"]


def test_both_parts_show_themselves_to_the_database_and_to_communication_services(rendered: Documents) -> None:
    settings = _of(rendered, "ConfigMap", "ehr-connector-[a-z0-9]+")["data"]

    assert settings["EHR_CONNECTOR_DATABASE_CREDENTIAL"] == "workload-identity"
    assert settings["EHR_CONNECTOR_ACS_CREDENTIAL"] == "workload-identity"


@pytest.mark.parametrize("workload", ["ehr-operator", "ehr-connector-web", "ehr-connector-worker"])
def test_an_identity_has_the_roles_that_its_program_uses_and_no_other(
    workload: str, production: dict[str, Recorded]
) -> None:
    given = {
        name.removeprefix(f"{workload}-").removesuffix("-may")
        for name, found in production.items()
        if found.token == "azure-native:authorization:RoleAssignment" and name.startswith(f"{workload}-")
    }

    assert (
        given
        == {
            "ehr-operator": {"uses-communication"},
            "ehr-connector-web": {"uses-communication", "reads-keys"},
            "ehr-connector-worker": {"uses-communication", "reads-keys", "reads-events"},
        }[workload]
    )


def test_the_worker_alone_reads_the_queue_of_the_stack(rendered: Documents, production: dict[str, Recorded]) -> None:
    urls: dict[str, list[str]] = {}
    for part in ("web", "worker"):
        container = _of(rendered, "Deployment", f"ehr-connector-{part}")["spec"]["template"]["spec"]["containers"][0]
        urls[part] = [each["value"] for each in container["env"] if each["name"] == "EHR_CONNECTOR_EVENTS_QUEUE_URL"]

    assert urls == {"web": [], "worker": [_substitutions(production)["EHR_EVENTS_QUEUE"]]}
    account = next(found for found in production.values() if found.token.endswith("storage:StorageAccount"))
    queue = next(found for found in production.values() if found.token.endswith("storage:Queue"))
    host = f"{account.inputs['accountName']}.queue.core.windows.net"
    assert urls["worker"] == [f"https://{host}/{queue.inputs['queueName']}"]


@pytest.mark.parametrize("part", ["web", "worker"])
def test_keys_come_from_the_vault_under_the_names_of_their_files(
    part: str, kubectl: Path, production: dict[str, Recorded]
) -> None:
    file_name = "20260131T120000Z-1a2b3c4d.jwk.json"
    values = {
        **_substitutions(production),
        "EHR_KEYS": json.dumps(
            {"array": [json.dumps({"objectName": "20260131T120000Z-1a2b3c4d-jwk-json", "objectAlias": file_name})]}
        ),
    }
    text = _VARIABLE.sub(lambda found: values[found[1]], _kustomize(kubectl, "deploy/overlays/azure"))
    documents: Documents = [each for each in yaml.safe_load_all(text) if each]

    volumes = _of(documents, "Deployment", f"ehr-connector-{part}")["spec"]["template"]["spec"]["volumes"]
    keys = next(volume for volume in volumes if volume["name"] == "keys")
    provider = _of(documents, "SecretProviderClass", keys["csi"]["volumeAttributes"]["secretProviderClass"])
    objects = yaml.safe_load(provider["spec"]["parameters"]["objects"])["array"]
    assert "secret" not in keys
    assert [yaml.safe_load(each)["objectAlias"] for each in objects] == [file_name]
    assert provider["spec"]["parameters"]["keyvaultName"] == production["vault"].inputs["vaultName"]


def test_no_secret_is_among_the_values_that_flux_puts_in(production: dict[str, Recorded]) -> None:
    words = re.compile("password|token|secret|key=", re.IGNORECASE)

    assert [name for name, value in _substitutions(production).items() if words.search(value)] == []
