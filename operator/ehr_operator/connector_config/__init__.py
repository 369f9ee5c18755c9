"""EHRConnectorConfig: one organisation, handed to the connector as one document."""
