"""What passing time brings to messages: they arrive or fail, and reports are made."""

from __future__ import annotations

from ehr_sandbox.acs.messages import events
from ehr_sandbox.acs.messages.model import Mail
from ehr_sandbox.acs.world import World


def deliver(world: World) -> bool:
    """End the texts and e-mail whose time has come, and tell whether there were any."""
    ended = world.state.messages.end_due(world.now())
    for one in ended:
        if isinstance(one, Mail):
            events.report_email(world, one)
        elif one.report:
            events.report_delivery(world, one)
    return bool(ended)
