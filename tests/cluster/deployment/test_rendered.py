"""What an installation renders to fits together, and fits the programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest
import yaml
from cluster.deployment.conftest import Rendered
from cluster.deployment.rendered import DEPLOY, REPOSITORY, Document, containers, of_kind, selects, templates, variables

from ehr_connector import serving
from ehr_connector.app import create_app
from ehr_connector.keys.make import new_keys
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.settings import Settings as ConnectorSettings
from ehr_operator.settings import Settings as OperatorSettings

OVERLAYS = ("example", "example-ingress", "azure")
WORKLOADS = ("ehr-operator", "ehr-connector-web", "ehr-connector-worker")
_PATH = re.compile(r"(?:(?<=^)|(?<=:))/(?!/).*")
"""A file, also behind the kind of a credential; no URL."""
CALLED_FROM_INSIDE = ("/control/", "/livez", "/readyz", "/metrics")


def only_container(documents: list[Document], workload: str) -> Document:
    [container] = containers(templates(documents)[workload])
    return container


def audience_and_path(documents: list[Document], workload: str) -> Iterator[tuple[str, str]]:
    """Yield audience and file of each token that is projected into a pod."""
    template = templates(documents)[workload]
    mounts = {mount["name"]: mount["mountPath"] for mount in only_container(documents, workload)["volumeMounts"]}
    for volume in template["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if (token := source.get("serviceAccountToken")) is None:
                continue
            yield token["audience"], f"{mounts[volume['name']]}/{token['path']}"


def test_an_installation_is_these_workloads(example: list[Document]) -> None:
    assert templates(example).keys() == set(WORKLOADS)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_pod_is_hardened(example: list[Document], workload: str) -> None:
    pod = templates(example)[workload]["spec"]
    container = only_container(example, workload)

    # Not asked for by the restricted profile, which another test has the API server check.
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] > 0
    assert pod["automountServiceAccountToken"] is (workload == "ehr-operator")
    assert "memory" in container["resources"]["limits"]
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_variable_that_kubernetes_makes_is_taken_for_a_setting(example: list[Document], workload: str) -> None:
    """A Service `ehr-connector` would set EHR_CONNECTOR_PORT to tcp://... in every pod of its namespace."""
    assert templates(example)[workload]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_program_accepts_its_environment(
    example: list[Document], workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OperatorSettings if workload == "ehr-operator" else ConnectorSettings
    environment = variables(example, only_container(example, workload))
    mounted = [mount["mountPath"] for mount in only_container(example, workload)["volumeMounts"]]

    for name, value in environment.items():
        if value is None:
            assert name == "EHR_CONNECTOR_DATABASE_URL"
            value = "postgresql+psycopg://ehr@database.example/ehr"  # noqa: PLW2901 (what the Secret would say)
        if place := _PATH.search(value):
            assert any(place[0].startswith(mount) for mount in mounted), f"{name}: {value} is in no volume"
        if value.startswith("/"):
            value = str(_stands_for(tmp_path, value))  # noqa: PLW2901 (the file of the volume)
        monkeypatch.setenv(name, value)

    assert settings.model_validate({}).port == only_container(example, workload)["ports"][0]["containerPort"]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_variable_of_ours_is_a_setting_of_the_program(rendered: Rendered, overlay: str, workload: str) -> None:
    settings = OperatorSettings if workload == "ehr-operator" else ConnectorSettings
    prefix = str(settings.model_config.get("env_prefix"))
    environment = variables(rendered(overlay), only_container(rendered(overlay), workload))

    assert {name.removeprefix(prefix).lower() for name in environment} <= settings.model_fields.keys()


def _stands_for(folder: Path, path: str) -> Path:
    file = folder / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix:
        file.touch()
    else:
        file.mkdir(exist_ok=True)
    return file


def test_tokens_have_the_audience_and_the_place_that_the_programs_ask_for(example: list[Document]) -> None:
    control_audience = ConnectorSettings.model_fields["control_audience"].default
    control_file = str(OperatorSettings.model_fields["control_token_file"].default)
    graph = variables(example, only_container(example, "ehr-connector-web"))["EHR_CONNECTOR_GRAPH_CREDENTIAL"]

    assert list(audience_and_path(example, "ehr-operator")) == [(control_audience, control_file)]
    for workload in ("ehr-connector-web", "ehr-connector-worker"):
        [(audience, path)] = audience_and_path(example, workload)
        assert audience == "api://AzureADTokenExchange"
        assert graph == f"federated-token:{path}"


@pytest.mark.parametrize("workload", ["ehr-connector-web", "ehr-connector-worker"])
def test_an_organisations_test_recipients_are_where_the_connector_looks(
    example: list[Document], workload: str, tmp_path: Path
) -> None:
    config = yaml.safe_load((DEPLOY / "samples/config.yaml").read_text(encoding="utf-8"))
    pod = templates(example)[workload]["spec"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "test-recipients"]
    [secret] = [source["secret"] for source in volume["projected"]["sources"]]
    list_file = tmp_path / secret["items"][0]["path"]
    list_file.parent.mkdir()
    list_file.write_text("+18005550142\n")

    assert variables(example, only_container(example, workload))["EHR_CONNECTOR_TEST_RECIPIENTS_DIR"] in {
        mount["mountPath"]
        for mount in only_container(example, workload)["volumeMounts"]
        if mount["name"] == volume["name"]
    }
    assert AllowLists(tmp_path).holds(
        config["metadata"].get("namespace", "lamna"), config["metadata"]["name"], "+18005550142"
    )
    # A list that nobody has made yet holds up no pod.
    assert secret["optional"] is True


def test_the_operator_is_the_caller_whom_the_connector_expects(example: list[Document]) -> None:
    account = templates(example)["ehr-operator"]["spec"]["serviceAccountName"]
    namespace = of_kind(example, "ServiceAccount")[account]["metadata"]["namespace"]

    assert ConnectorSettings.model_fields["control_subject"].default == f"system:serviceaccount:{namespace}:{account}"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_pod_is_probed_kept_and_spread(example: list[Document], workload: str) -> None:
    template = templates(example)[workload]
    container, labels = only_container(example, workload), template["metadata"]["labels"]
    budgets = of_kind(example, "PodDisruptionBudget").values()

    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert [b for b in budgets if selects(b["spec"]["selector"]["matchLabels"], labels)]
    spread = template["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert all(selects(one["labelSelector"]["matchLabels"], labels) for one in spread)


def test_a_stopped_page_server_has_the_time_that_it_takes_for_itself(example: list[Document]) -> None:
    pod = templates(example)["ehr-connector-web"]["spec"]
    drained_s = only_container(example, "ehr-connector-web")["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod["terminationGracePeriodSeconds"] > drained_s + serving._GRACE_S


def test_the_autoscaler_alone_counts_the_page_servers(example: list[Document]) -> None:
    scaler = of_kind(example, "HorizontalPodAutoscaler")["ehr-connector-web"]["spec"]

    assert scaler["scaleTargetRef"]["name"] == "ehr-connector-web"
    assert scaler["minReplicas"] >= 2
    assert "replicas" not in of_kind(example, "Deployment")["ehr-connector-web"]["spec"]


def test_every_service_leads_to_a_named_port_of_a_workload(example: list[Document]) -> None:
    for service in of_kind(example, "Service").values():
        [template] = [
            one for one in templates(example).values()
            if selects(service["spec"]["selector"], one["metadata"]["labels"])
        ]  # fmt: skip
        ports = {port["name"] for container in containers(template) for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_every_monitor_finds_a_port_of_a_service(example: list[Document]) -> None:
    monitors = of_kind(example, "ServiceMonitor").values()
    found = {
        service["metadata"]["name"]
        for monitor in monitors
        for service in of_kind(example, "Service").values()
        if selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        and monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    }

    assert found == of_kind(example, "Service").keys()


def test_the_certificate_names_the_service_that_the_operator_and_the_gateway_call(example: list[Document]) -> None:
    service = of_kind(example, "Service")["ehr-connector"]
    name = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    operator = variables(example, only_container(example, "ehr-operator"))

    assert name in of_kind(example, "Certificate")["ehr-connector-tls"]["spec"]["dnsNames"]
    assert operator["EHR_OPERATOR_TRUSTED_URLS"] == f"https://{name}:{service['spec']['ports'][0]['port']}"
    assert of_kind(example, "BackendTLSPolicy")["ehr-connector"]["spec"]["validation"]["hostname"] == name
    assert (
        of_kind(example, "ServiceMonitor")["ehr-connector-web"]["spec"]["endpoints"][0]["tlsConfig"]["serverName"]
        == name
    )


@dataclass(frozen=True, slots=True)
class Public:
    """The paths that are let in: whole, or as a prefix of whole segments."""

    exact: frozenset[str]
    prefixes: frozenset[str]

    @classmethod
    def by_gateway(cls, documents: list[Document]) -> Self:
        rules = of_kind(documents, "HTTPRoute")["ehr-connector"]["spec"]["rules"]
        return cls.of([(match["path"]["type"], match["path"]["value"]) for rule in rules for match in rule["matches"]])

    @classmethod
    def by_ingress(cls, documents: list[Document]) -> Self:
        [rule] = of_kind(documents, "Ingress")["ehr-connector"]["spec"]["rules"]
        return cls.of([(path["pathType"], path["path"]) for path in rule["http"]["paths"]])

    @classmethod
    def of(cls, paths: list[tuple[str, str]]) -> Self:
        exact = frozenset(path for kind, path in paths if kind == "Exact")
        prefixes = frozenset(path for kind, path in paths if kind in {"PathPrefix", "Prefix"})
        assert len(exact) + len(prefixes) == len(paths)
        return cls(exact, prefixes)

    def lets_through(self, path: str) -> bool:
        """Whether a request for the path gets to the connector."""
        return path in self.exact or any(path == one or path.startswith(f"{one}/") for one in self.prefixes)


# FastAPI names an operation once, and a page answers GET and HEAD.
@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
@pytest.mark.parametrize(
    ("overlay", "public_of"), [("example", Public.by_gateway), ("example-ingress", Public.by_ingress)]
)
def test_what_is_public_comes_in_and_nothing_else(
    rendered: Rendered, overlay: str, public_of: Callable[[list[Document]], Public], tmp_path: Path
) -> None:
    for _ in new_keys(tmp_path / "keys", datetime.now(UTC)):
        pass
    settings = ConnectorSettings.model_validate(
        {
            "geography": "Americas",
            "keys_dir": tmp_path / "keys",
            "control_issuer": "https://issuer.example",
            "database_url": f"sqlite+aiosqlite:///{tmp_path}/database",
        }
    )
    paths: set[str] = set(create_app(settings).openapi()["paths"])
    public = public_of(rendered(overlay))

    assert len(paths) > 20
    wrong = {path for path in paths if public.lets_through(path) == path.startswith(CALLED_FROM_INSIDE)}
    assert wrong == set()


def test_an_ingress_has_the_name_of_its_certificate_and_leads_to_a_port_of_the_service(rendered: Rendered) -> None:
    ingress = of_kind(rendered("example-ingress"), "Ingress")["ehr-connector"]["spec"]
    service = of_kind(rendered("example-ingress"), "Service")["ehr-connector"]["spec"]
    [rule] = ingress["rules"]

    assert [tls["hosts"] for tls in ingress["tls"]] == [[rule["host"]]]
    ports = {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]}
    assert ports == {port["name"] for port in service["ports"]}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_pod_may_do_on_the_network_only_what_a_policy_names(example: list[Document], workload: str) -> None:
    labels = templates(example)[workload]["metadata"]["labels"]
    policies = [one["spec"] for one in of_kind(example, "NetworkPolicy").values() if _matches(one, labels)]
    out = {
        port["port"]
        for policy in policies
        for rule in policy.get("egress", [])
        for port in rule["ports"]
    }  # fmt: skip
    into = [rule for policy in policies for rule in policy.get("ingress", [])]

    assert any(set(policy["policyTypes"]) == {"Ingress", "Egress"} and len(policy) == 2 for policy in policies)
    database = set() if workload == "ehr-operator" else {5432}
    connector = {"https"} if workload == "ehr-operator" else set()
    assert out == {53, 443, 6443} | database | connector
    assert all(rule["from"] for rule in into)
    callers = {"ehr-connector-web": 3, "ehr-operator": 1, "ehr-connector-worker": 1}
    assert len(into) == callers[workload]


def _matches(policy: Document, labels: dict[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    return selects(selector.get("matchLabels", {}), labels) and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )


def test_every_alert_has_its_line_in_the_operating_guide(example: list[Document]) -> None:
    guide = (REPOSITORY / "docs/how-to/operate.md").read_text(encoding="utf-8")
    groups = [group for rule in of_kind(example, "PrometheusRule").values() for group in rule["spec"]["groups"]]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]

    assert [name for name in alerts if f"`{name}`" not in guide] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_says_whose_it_is(rendered: Rendered, overlay: str) -> None:
    for document in rendered(overlay):
        assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "teams-ehr-connector"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_says_where_it_goes(rendered: Rendered, overlay: str) -> None:
    """Or it would go to whatever namespace somebody's kubectl is set to."""
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding", "ClusterIssuer", "GatewayClass"}

    for document in rendered(overlay):
        expected = None if document["kind"] in cluster_wide else "ehr-system"
        assert document["metadata"].get("namespace") == expected, document
