"""Makes keys of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ehr_connector.keys.notification import new_notification_key
from ehr_connector.keys.secret import new_names_key, new_secret_key
from ehr_connector.keys.signing import new_signing_key


class KeyKind(StrEnum):
    """What a key is for."""

    SIGNING = "signing"
    """Proves to EHRs who we are."""
    NAMES = "names"
    """Names visits, for ever: there is one. It is made before a sealing key, which would name otherwise."""
    SECRET = "secret"  # noqa: S105 (the name of a kind)
    """Seals links and cookies."""
    NOTIFICATION = "notification"
    """Microsoft Graph encrypts notifications to it."""


_MAKE = {
    KeyKind.SIGNING: new_signing_key,
    KeyKind.NAMES: new_names_key,
    KeyKind.SECRET: new_secret_key,
    KeyKind.NOTIFICATION: new_notification_key,
}


def new_keys(folder: Path, now: datetime, kinds: Sequence[KeyKind] = tuple(KeyKind)) -> list[Path]:
    """Make one key of each kind and return their files, which only this user may read; names keep the key they have."""
    made = (_MAKE[kind](folder, now) for kind in KeyKind if kind in kinds)
    return [path for path in made if path is not None]
