"""A clinician's session: one launch, for one patient, in one browser.

It stands in the address of the page, so that two charts that are open side by side are two sessions; the address alone
opens nothing, since it is bound to the browser's cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.flow import Launched
from ehr_connector.launch.sealed import Sealed, Sealer

_LIFE = timedelta(hours=4)


class ClinicianSession(Sealed):
    """Who launched, for whom. It travels sealed with the browser, and is never written down."""

    patient: str
    encounter: str | None = None
    user: str
    """Unique id of the EHR user at the base URL."""
    banner: bool = True
    """Whether the page must say which patient it is about (`need_patient_banner`)."""


def clinician_sessions(secret: SecretKeys, now: Callable[[], datetime]) -> Sealer[ClinicianSession]:
    """Return what seals and opens sessions."""
    return Sealer(secret, ClinicianSession, purpose="clinician session", life=_LIFE, now=now)


def session_of(launched: Launched) -> ClinicianSession:
    """Return the session that a launch begins."""
    return ClinicianSession(
        site=launched.site.tag.hex(),
        patient=launched.patient,
        encounter=launched.encounter,
        user=launched.user.user,
        banner=launched.need_patient_banner,
    )
