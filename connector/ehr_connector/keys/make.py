"""Makes keys of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ehr_connector.keys.notification import new_notification_key
from ehr_connector.keys.secret import new_secret_key
from ehr_connector.keys.signing import new_signing_key


class KeyKind(StrEnum):
    """What a key is for."""

    SIGNING = "signing"
    """Proves to EHRs who we are."""
    SECRET = "secret"  # noqa: S105 (the name of a kind)
    """Seals links and cookies, and names visits."""
    NOTIFICATION = "notification"
    """Microsoft Graph encrypts notifications to it."""


_MAKE = {
    KeyKind.SIGNING: new_signing_key,
    KeyKind.SECRET: new_secret_key,
    KeyKind.NOTIFICATION: new_notification_key,
}


def new_keys(folder: Path, now: datetime, kinds: Sequence[KeyKind] = tuple(KeyKind)) -> list[Path]:
    """Make one key of each kind and return their files, which only this user may read."""
    return [_MAKE[kind](folder, now) for kind in kinds]
