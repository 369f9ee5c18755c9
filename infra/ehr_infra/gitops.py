"""Flux on the cluster, which installs the operator and the connector from Git with this stack's own values."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pulumi
from pulumi_azure_native import kubernetesconfiguration

from ehr_infra.cluster import Cluster
from ehr_infra.place import Place

FLUX_NAMESPACE = "flux-system"
"""Where Flux runs, and where everything is that it reads: on AKS it has rights there alone, and follows no reference out of it."""

_CLUSTER_RP = "Microsoft.ContainerService"
_CLUSTER_RESOURCE = "managedClusters"
_MINUTE_S = 60


class GitOps(pulumi.ComponentResource):
    """The Flux extension, and one configuration: the CRDs and what the cluster lacks, the operator, the connector.

    The substitutions are values that anybody in the cluster may read; there is no secret among them.
    """

    def __init__(
        self,
        place: Place,
        cluster: Cluster,
        substitutions: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ehr:infra:GitOps", "gitops", None, opts)
        settings = place.settings
        extension = kubernetesconfiguration.Extension(
            "flux",
            extension_name="flux",
            extension_type="microsoft.flux",
            cluster_rp=_CLUSTER_RP,
            cluster_resource_name=_CLUSTER_RESOURCE,
            cluster_name=cluster.name,
            resource_group_name=place.resource_group_name,
            auto_upgrade_minor_version=True,
            release_train="Stable",
            scope=kubernetesconfiguration.ScopeArgs(
                cluster=kubernetesconfiguration.ScopeClusterArgs(release_namespace=FLUX_NAMESPACE)
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        token, overlay = settings.git_token, settings.git.path.rstrip("/")
        kubernetesconfiguration.FluxConfiguration(
            "connector",
            flux_configuration_name="ehr",
            cluster_rp=_CLUSTER_RP,
            cluster_resource_name=_CLUSTER_RESOURCE,
            cluster_name=cluster.name,
            resource_group_name=place.resource_group_name,
            namespace=FLUX_NAMESPACE,
            scope="cluster",
            source_kind="GitRepository",
            git_repository=kubernetesconfiguration.GitRepositoryDefinitionArgs(
                url=settings.git.url,
                repository_ref=kubernetesconfiguration.RepositoryRefDefinitionArgs(
                    tag=settings.git.tag, branch=settings.git.branch
                ),
                https_user="git" if token else None,
                sync_interval_in_seconds=5 * _MINUTE_S,
                timeout_in_seconds=2 * _MINUTE_S,
            ),
            configuration_protected_settings={
                "httpsKey": pulumi.Output.secret(base64.b64encode(token.get_secret_value().encode()).decode())
            }
            if token
            else None,
            kustomizations={
                "crds": _kustomization("./crds", []),
                "platform": _kustomization(f"{overlay}/platform", []),
                "operator": _kustomization(f"{overlay}/operator", ["crds", "platform"], substitutions),
                # Its pods wait for keys and for roles in the database, which somebody makes when the stack is there.
                "connector": _kustomization(f"{overlay}/connector", ["operator"], substitutions, wait=False),
            },
            # The stack is done when the operator runs, not when Flux was told to install it.
            wait_for_reconciliation=True,
            reconciliation_wait_duration="PT15M",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[extension]),
        )
        self.register_outputs({})


def _kustomization(
    path: str, depends_on: list[str], substitutions: Mapping[str, pulumi.Input[str]] | None = None, *, wait: bool = True
) -> kubernetesconfiguration.KustomizationDefinitionArgs:
    return kubernetesconfiguration.KustomizationDefinitionArgs(
        path=path,
        depends_on=depends_on,
        # Without CRDs there are no objects: Git losing them must not take every organisation's resources along, or its
        # certificates.
        prune=bool(depends_on),
        wait=wait,
        force=False,
        sync_interval_in_seconds=10 * _MINUTE_S,
        retry_interval_in_seconds=_MINUTE_S,
        timeout_in_seconds=10 * _MINUTE_S,
        post_build=kubernetesconfiguration.PostBuildDefinitionArgs(substitute=dict(substitutions))
        if substitutions
        else None,
    )
