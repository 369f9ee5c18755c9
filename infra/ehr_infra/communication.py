"""Communication Services, which own the phone numbers, and the way of their delivery reports to the connector."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, communication, eventgrid, storage

from ehr_infra.network import QUEUE_ZONE, Network
from ehr_infra.observability import Observability
from ehr_infra.place import Place
from ehr_infra.roles import BuiltInRole, assign

EVENTS = (
    "Microsoft.Communication.SMSReceived",
    "Microsoft.Communication.SMSDeliveryReportReceived",
    "Microsoft.Communication.EmailDeliveryReportReceived",
)
_LOGS = ("AuthOperational", "EmailSendMailOperational")
"""The logs that name no recipient: who signed in, and counts of each e-mail. That of e-mail's delivery has addresses in it; those of
texts and of usage have fields for who used what (UserIdA, UserIdB of ACSBillingUsage), and may so have phone numbers."""
QUEUE = "acs-events"
DEAD_LETTERS = "dead-letters"
_DAY_S = 24 * 60 * 60
_KEPT_DAYS = 14
"""Events hold phone numbers and what patients wrote: long enough to look into a failure, and no longer."""


class Communication(pulumi.ComponentResource):
    """The resource that holds phone numbers and sends texts and e-mail.

    Protected, and locked in Azure: losing it, or replacing it (as another data location would), gives up every number
    that patients know. The numbers are no Pulumi resources: their purchase is slow, paid and bound to stock, so the
    operator reconciles them (see SmsNumber).
    """

    id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    sender: pulumi.Output[str]

    def __init__(self, place: Place, observability: Observability, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ehr:infra:Communication", "communication", None, opts)
        settings = place.settings
        email = communication.EmailService(
            "email",
            email_service_name=place.names.unique("communication", "mail"),
            resource_group_name=place.resource_group_name,
            location="global",
            data_location=settings.data_location,
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        domain = communication.Domain(
            "email-domain",
            # Azure's own domain works at once; one of the organisation needs records in its DNS (see docs/how-to/azure.md).
            domain_name="AzureManagedDomain",
            domain_management="AzureManaged",
            email_service_name=email.name,
            resource_group_name=place.resource_group_name,
            location="global",
            user_engagement_tracking="Disabled",
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        service = communication.CommunicationService(
            "communication",
            communication_service_name=place.names.unique("communication", "acs"),
            resource_group_name=place.resource_group_name,
            location="global",
            data_location=settings.data_location,
            disable_local_auth=True,
            linked_domains=[domain.id],
            # Phone numbers and texts have no private endpoint.
            public_network_access="Enabled",
            tags=place.tags,
            opts=place.kept(self),
        )
        if settings.protect:
            authorization.ManagementLockByScope(
                "communication-lock",
                lock_name="holds-phone-numbers",
                level="CanNotDelete",
                notes="Deleting this resource gives up every phone number that it holds.",
                scope=service.id,
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            )
        self.id = service.id
        self.endpoint = pulumi.Output.concat("https://", service.host_name)
        self.sender = pulumi.Output.concat("DoNotReply@", domain.from_sender_domain)
        observability.diagnose({"communication": service.id}, self, _LOGS)
        self.register_outputs({"endpoint": self.endpoint})


class Events(pulumi.ComponentResource):
    """Delivery reports and inbound texts, from Communication Services through Event Grid into a queue.

    A queue needs no public endpoint and no handshake, which a web hook could not answer before the cluster runs. What
    cannot be delivered within a day is kept as a dead letter, for two weeks. Event Grid proves itself with its own identity; the account
    has no key that works.
    """

    queue_id: pulumi.Output[str]
    queue_url: pulumi.Output[str]
    topic_id: pulumi.Output[str]

    def __init__(
        self,
        place: Place,
        network: Network,
        observability: Observability,
        source: Communication,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ehr:infra:Events", "events", None, opts)
        self._place = place
        account = self._account()
        own = pulumi.ResourceOptions(parent=self)
        queue = storage.Queue(
            "events-queue",
            queue_name=QUEUE,
            account_name=account.name,
            resource_group_name=place.resource_group_name,
            opts=own,
        )
        dead_letters = storage.BlobContainer(
            "dead-letters",
            container_name=DEAD_LETTERS,
            account_name=account.name,
            resource_group_name=place.resource_group_name,
            public_access=storage.PublicAccess.NONE,
            opts=own,
        )
        self._forget(account)
        topic = eventgrid.SystemTopic(
            "events-topic",
            system_topic_name=place.names.of("event grid", "acs-events"),
            resource_group_name=place.resource_group_name,
            location="global",
            source=source.id,
            topic_type="Microsoft.Communication.CommunicationServices",
            identity=eventgrid.IdentityInfoArgs(type="SystemAssigned"),
            tags=place.tags,
            opts=own,
        )
        self.queue_id = pulumi.Output.concat(account.id, "/queueServices/default/queues/", queue.name)
        self._subscribe(account, topic, queue, dead_letters)
        self.topic_id = topic.id
        self.queue_url = pulumi.Output.concat("https://", account.name, ".queue.core.windows.net/", queue.name)
        network.private_endpoint("events", account.id, "queue", QUEUE_ZONE, self)
        observability.diagnose(
            {
                "events-topic": topic.id,
                "events-queues": pulumi.Output.concat(account.id, "/queueServices/default"),
                "events-blobs": pulumi.Output.concat(account.id, "/blobServices/default"),
            },
            self,
        )
        self.register_outputs({"queueURL": self.queue_url})

    def _account(self) -> storage.StorageAccount:
        place = self._place
        return storage.StorageAccount(
            "events-account",
            account_name=place.names.unique_plain("storage account", "ev"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            # Event Grid is let in as a trusted service, by its identity; the connector has a private endpoint. Nobody else.
            public_network_access="Enabled",
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=storage.DefaultAction.DENY,
                bypass="AzureServices",
                ip_rules=[],
                virtual_network_rules=[],
            ),
            tags=place.tags,
            opts=place.kept(self),
        )

    def _forget(self, account: storage.StorageAccount) -> None:
        storage.ManagementPolicy(
            "dead-letters-end",
            management_policy_name="default",
            account_name=account.name,
            resource_group_name=self._place.resource_group_name,
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="dead-letters-end",
                        type=storage.RuleType.LIFECYCLE,
                        enabled=True,
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(
                                blob_types=["blockBlob"], prefix_match=[f"{DEAD_LETTERS}/"]
                            ),
                            actions=storage.ManagementPolicyActionArgs(
                                base_blob=storage.ManagementPolicyBaseBlobArgs(
                                    delete=storage.DateAfterModificationArgs(
                                        days_after_modification_greater_than=_KEPT_DAYS
                                    )
                                )
                            ),
                        ),
                    )
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _subscribe(
        self,
        account: storage.StorageAccount,
        topic: eventgrid.SystemTopic,
        queue: storage.Queue,
        dead_letters: storage.BlobContainer,
    ) -> None:
        place = self._place
        principal_id = topic.identity.apply(lambda identity: (identity.principal_id if identity else None) or "")
        may_send = assign(
            place,
            "event-grid-sends",
            role=BuiltInRole.QUEUE_MESSAGE_SENDER,
            principal_id=principal_id,
            scope=self.queue_id,
            parent=self,
        )
        may_keep = assign(
            place,
            "event-grid-keeps-dead-letters",
            role=BuiltInRole.BLOB_DATA_CONTRIBUTOR,
            principal_id=principal_id,
            scope=pulumi.Output.concat(account.id, "/blobServices/default/containers/", dead_letters.name),
            parent=self,
        )
        identity = eventgrid.EventSubscriptionIdentityArgs(type="SystemAssigned")
        eventgrid.SystemTopicEventSubscription(
            "events-subscription",
            event_subscription_name="connector",
            system_topic_name=topic.name,
            resource_group_name=place.resource_group_name,
            event_delivery_schema="EventGridSchema",
            filter=eventgrid.EventSubscriptionFilterArgs(included_event_types=list(EVENTS)),
            delivery_with_resource_identity=eventgrid.DeliveryWithResourceIdentityArgs(
                identity=identity,
                destination=eventgrid.StorageQueueEventSubscriptionDestinationArgs(
                    endpoint_type="StorageQueue",
                    resource_id=account.id,
                    queue_name=queue.name,
                    queue_message_time_to_live_in_seconds=7 * _DAY_S,
                ),
            ),
            dead_letter_with_resource_identity=eventgrid.DeadLetterWithResourceIdentityArgs(
                identity=identity,
                dead_letter_destination=eventgrid.StorageBlobDeadLetterDestinationArgs(
                    endpoint_type="StorageBlob", resource_id=account.id, blob_container_name=dead_letters.name
                ),
            ),
            retry_policy=eventgrid.RetryPolicyArgs(max_delivery_attempts=30, event_time_to_live_in_minutes=1440),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_send, may_keep]),
        )
