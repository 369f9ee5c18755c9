"""What passing time brings to messages: they arrive or fail, and reports are made."""

from __future__ import annotations

from ehr_sandbox.acs.messages import events
from ehr_sandbox.acs.world import World


def deliver(world: World) -> bool:
    """End the texts and e-mail whose time has come, and tell whether there were any."""
    now = world.now()
    messages = world.state.messages
    texts = [one for one in messages.texts.values() if not one.ended and one.due_at <= now]
    for text in sorted(texts, key=lambda one: one.due_at):
        text.ended = True
        if text.report:
            events.report_delivery(world, text)
    mails = [one for one in messages.mails.values() if not one.ended and one.due_at <= now]
    for mail in mails:
        mail.ended = True
        events.report_email(world, mail)
    return bool(texts or mails)
