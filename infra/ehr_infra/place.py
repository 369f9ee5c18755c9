"""What every component needs to know: the settings, the names, and where it builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from ehr_infra.config import PROJECT, Settings
from ehr_infra.geography import TERRITORIES, data_outside, outside
from ehr_infra.naming import Names


@dataclass(frozen=True, slots=True)
class Place:
    """A resource group of a stack."""

    settings: Settings
    names: Names
    resource_group_name: pulumi.Input[str]
    resource_group_id: pulumi.Output[str]

    @property
    def location(self) -> str:
        """The region of everything that has one."""
        return self.settings.region

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that takes some."""
        return {**self.settings.tags, "application": PROJECT, "stack": self.names.stack}

    @property
    def quiet_hour(self) -> tuple[int, int]:
        """Day (0 is Sunday) and hour in UTC that are Sunday at three in the night in the geography."""
        return divmod((3 - TERRITORIES[self.settings.geography].utc_offset) % (7 * 24), 24)

    def kept(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a resource whose loss cannot be mended: neither a destroy nor a replacement takes it away."""
        return pulumi.ResourceOptions(
            parent=parent, protect=self.settings.protect, retain_on_delete=self.settings.protect
        )


class OutsideGeographyError(pulumi.RunError):
    """A resource would be, or keep data, outside the stack's geography."""


def keep_inside(settings: Settings) -> pulumi.ResourceTransformation:
    """A transformation for the whole stack that lets no resource be declared outside the geography."""

    def transformation(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        def check_location(location: str | None) -> str | None:
            if location is not None and outside(settings.geography, location):
                raise OutsideGeographyError(_outside(args, "location", location, settings))
            return location

        def check_data(location: str | None) -> str | None:
            if location is not None and data_outside(settings.geography, location):
                raise OutsideGeographyError(_outside(args, "data location", location, settings))
            return location

        properties = dict[str, Any](args.props)
        for key, check in (("location", check_location), ("data_location", check_data)):
            if key in properties:
                value: pulumi.Input[str | None] = properties[key]
                # A value that is known only later is checked then.
                properties[key] = value.apply(check) if isinstance(value, pulumi.Output) else check(properties[key])
        return pulumi.ResourceTransformationResult(properties, args.opts)

    return transformation


def _outside(args: pulumi.ResourceTransformationArgs, what: str, location: str, settings: Settings) -> str:
    return f"{args.type_} '{args.name}' has the {what} '{location}', outside the geography '{settings.geography}'"
