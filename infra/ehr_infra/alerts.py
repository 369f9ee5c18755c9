"""What somebody is told of, day and night; docs/how-to/azure.md says what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_azure_native import monitor

from ehr_infra.gitops import FLUX_NAMESPACE
from ehr_infra.observability import Observability
from ehr_infra.place import Place
from ehr_infra.workloads import NAMESPACE

_CRITICAL = 1
_WARNING = 2


@dataclass(frozen=True, slots=True)
class Watched:
    """The resources that the alerts are about."""

    resource_group_id: pulumi.Output[str]
    database_id: pulumi.Output[str]
    topic_id: pulumi.Output[str]
    communication_id: pulumi.Output[str]


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    description: str
    scope: pulumi.Output[str]
    metric: str
    aggregation: Literal["Average", "Maximum", "Minimum", "Total"]
    operator: Literal["GreaterThan", "LessThan"]
    threshold: float
    severity: int


@dataclass(frozen=True, slots=True)
class _Log:
    name: str
    description: str
    query: str
    severity: int


_LOGS = (
    _Log(
        "pods-not-ready",
        "A pod of the operator or the connector is not running, or starts again and again.",
        f"KubePodInventory | where Namespace == '{NAMESPACE}'"
        # The count is of a pod's whole life: what matters is how it grew.
        " | summarize arg_max(TimeGenerated, PodStatus), Restarts = max(PodRestartCount) - min(PodRestartCount) by Name"
        " | where PodStatus !in ('Running', 'Succeeded') or Restarts > 1",
        _CRITICAL,
    ),
    _Log(
        "flux-failing",
        "Flux cannot apply what stands in Git.",
        f"KubeEvents | where Namespace == '{FLUX_NAMESPACE}' and KubeEventType == 'Warning'"
        " | where Reason in ('ReconciliationFailed', 'BuildFailed', 'HealthCheckFailed', 'GitOperationFailed',"
        " 'InstallFailed', 'UpgradeFailed')",
        _CRITICAL,
    ),
    _Log(
        "resources-troubled",
        "The operator cannot go on with a resource of an organisation, or not now.",
        "KubeEvents | where KubeEventType == 'Warning'"
        " | where ObjectKind in ('EHRConnectorConfig', 'FhirEndpoint', 'SmsNumber', 'IntegrationRecord')",
        _WARNING,
    ),
    _Log(
        "errors-logged",
        "The operator or the connector has logged an error.",
        f"ContainerLogV2 | where PodNamespace == '{NAMESPACE}'"
        " | where tostring(parse_json(tostring(LogMessage)).level) in ('ERROR', 'CRITICAL')",
        _WARNING,
    ),
)


class Alerts(pulumi.ComponentResource):
    """Metric alerts of the database and of the events, alerts of what pods and Kubernetes log, and one of a deletion of the numbers."""

    def __init__(
        self, place: Place, observability: Observability, watched: Watched, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ehr:infra:Alerts", "alerts", None, opts)
        self._place = place
        self._own = pulumi.ResourceOptions(parent=self)
        self._group_id = observability.action_group_id
        for metric in _metrics(watched):
            self._metric(metric)
        for log in _LOGS:
            self._log(log, observability.workspace_id)
        monitor.ActivityLogAlert(
            "numbers-in-danger",
            activity_log_alert_name=place.names.of("any", "numbers-in-danger"),
            resource_group_name=place.resource_group_name,
            location="global",
            description="Somebody deletes the resource that holds the phone numbers, or the lock on it.",
            enabled=True,
            scopes=[watched.resource_group_id],
            condition=monitor.AlertRuleAllOfConditionArgs(
                all_of=[
                    monitor.AlertRuleAnyOfOrLeafConditionArgs(field="category", equals="Administrative"),
                    monitor.AlertRuleAnyOfOrLeafConditionArgs(
                        any_of=[
                            monitor.AlertRuleLeafConditionArgs(field="operationName", equals=operation)
                            for operation in (
                                "Microsoft.Communication/CommunicationServices/delete",
                                "Microsoft.Authorization/locks/delete",
                            )
                        ]
                    ),
                ]
            ),
            actions=monitor.ActionListArgs(
                action_groups=[monitor.ActionGroupArgs(action_group_id=self._group_id)] if self._group_id else []
            ),
            tags=place.tags,
            opts=self._own,
        )
        self.register_outputs({})

    def _metric(self, alert: _Metric) -> None:
        place = self._place
        monitor.MetricAlert(
            alert.name,
            rule_name=place.names.of("any", alert.name),
            resource_group_name=place.resource_group_name,
            location="global",
            description=alert.description,
            enabled=True,
            severity=alert.severity,
            scopes=[alert.scope],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            auto_mitigate=True,
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name=alert.metric,
                        metric_name=alert.metric,
                        time_aggregation=alert.aggregation,
                        operator=alert.operator,
                        threshold=alert.threshold,
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=self._group_id)] if self._group_id else [],
            tags=place.tags,
            opts=self._own,
        )

    def _log(self, alert: _Log, workspace_id: pulumi.Output[str]) -> None:
        place = self._place
        monitor.ScheduledQueryRule(
            alert.name,
            rule_name=place.names.of("any", alert.name),
            resource_group_name=place.resource_group_name,
            location=place.location,
            display_name=alert.name,
            description=alert.description,
            enabled=True,
            severity=alert.severity,
            scopes=[workspace_id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            auto_mitigate=True,
            # A new workspace has no tables yet.
            skip_query_validation=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=alert.query,
                        time_aggregation="Count",
                        operator="GreaterThan",
                        threshold=0,
                        failing_periods=monitor.ConditionFailingPeriodsArgs(
                            min_failing_periods_to_alert=1, number_of_evaluation_periods=1
                        ),
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=[self._group_id] if self._group_id else []),
            tags=place.tags,
            opts=self._own,
        )


def _metrics(watched: Watched) -> tuple[_Metric, ...]:
    return (
        _Metric(
            "database-down",
            "PostgreSQL does not answer.",
            watched.database_id,
            "is_db_alive",
            "Minimum",
            "LessThan",
            1,
            _CRITICAL,
        ),
        _Metric(
            "database-filling",
            "The storage of PostgreSQL is more than four fifths full.",
            watched.database_id,
            "storage_percent",
            "Average",
            "GreaterThan",
            80,
            _WARNING,
        ),
        _Metric(
            "database-busy",
            "PostgreSQL has used most of its processors for a quarter of an hour.",
            watched.database_id,
            "cpu_percent",
            "Average",
            "GreaterThan",
            85,
            _WARNING,
        ),
        _Metric(
            "events-undelivered",
            "Delivery reports or inbound texts were given up and kept as dead letters.",
            watched.topic_id,
            "DeadLetteredCount",
            "Total",
            "GreaterThan",
            0,
            _WARNING,
        ),
        _Metric(
            "events-lost",
            "Delivery reports or inbound texts were dropped.",
            watched.topic_id,
            "DroppedEventCount",
            "Total",
            "GreaterThan",
            0,
            _CRITICAL,
        ),
    )
