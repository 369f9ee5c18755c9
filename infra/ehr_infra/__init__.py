"""The Azure footprint of the connector, as Pulumi components."""
