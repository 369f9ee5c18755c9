"""Where logs go, and who is told: the workspace, a diagnostic setting for everything that has one, and the alerts' people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_azure_native import monitor, operationalinsights

from ehr_infra.place import Place


class Observability(pulumi.ComponentResource):
    """The Log Analytics workspace that everything writes to, and the action group that alerts speak to."""

    workspace_id: pulumi.Output[str]
    action_group_id: pulumi.Output[str] | None

    def __init__(self, place: Place, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ehr:infra:Observability", "observability", None, opts)
        self._place = place
        settings = place.settings
        workspace = operationalinsights.Workspace(
            "workspace",
            workspace_name=place.names.of("workspace", "logs"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=settings.log_retention_days,
            features=operationalinsights.WorkspaceFeaturesArgs(
                disable_local_auth=True, enable_log_access_using_only_resource_permissions=True
            ),
            tags=place.tags,
            opts=place.kept(self),
        )
        self.workspace_id = workspace.id
        self.action_group_id = None
        if settings.alert_emails:
            group = monitor.ActionGroup(
                "alert-people",
                action_group_name=place.names.of("any", "alerts"),
                group_short_name=f"{place.names.prefix}alerts",
                resource_group_name=place.resource_group_name,
                location="global",
                enabled=True,
                email_receivers=[
                    monitor.MicrosoftCommonEmailReceiverArgs(
                        name=address, email_address=address, use_common_alert_schema=True
                    )
                    for address in settings.alert_emails
                ],
                tags=place.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.action_group_id = group.id
        self.diagnose({"workspace": workspace.id}, self)
        self.register_outputs({"workspaceID": self.workspace_id})

    def diagnose(
        self,
        resource_ids: Mapping[str, pulumi.Input[str]],
        parent: pulumi.Resource,
        categories: Sequence[str] | None = None,
        *,
        metrics: bool = True,
    ) -> None:
        """Send the metrics and logs of resources to the workspace: all logs, unless `categories` names some.

        `metrics` is false for resources that have none.
        """
        named = [monitor.DiagnosticsLogSettingsArgs(category=name, enabled=True) for name in categories or ()]
        for name, resource_id in resource_ids.items():
            monitor.DiagnosticSetting(
                f"{name}-diagnostics",
                name="to-workspace",
                resource_uri=resource_id,
                workspace_id=self.workspace_id,
                logs=named or [monitor.DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
                metrics=[monitor.DiagnosticsMetricSettingsArgs(category="AllMetrics", enabled=True)]
                if metrics
                else None,
                opts=pulumi.ResourceOptions(parent=parent),
            )
