"""Join links: short, opaque, encrypted and authenticated, bound to endpoint, appointment and role.

A link says which appointment it is for and nothing about when: whether it is alive, the EHR says. The same appointment
and role give the same link, so that it can be written into the EHR again without a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ehr_connector.keys.secret import SealError, SecretKeys

PATH = "/v/"
_PURPOSE = "join link"
_TAG_BYTES = 8
_FHIR_ID_MAX = 64


class Role(IntEnum):
    """Whom a link is for."""

    PATIENT = 1
    PROVIDER = 2
    GUEST = 3
    INTERPRETER = 4


class LinkError(Exception):
    """It is no link of ours."""


@dataclass(frozen=True, slots=True)
class JoinLink:
    """What a link stands for."""

    site_tag: bytes
    """Which FHIR base URL: `Site.tag`, 8 bytes."""
    appointment: str
    """Logical id of the Appointment."""
    role: Role
    number: int = 0
    """Which of the guest links of the visit; 0 for patient and provider."""


class Links:
    """Makes and reads the token of a link."""

    def __init__(self, secret: SecretKeys) -> None:
        self._secret = secret

    def token(self, link: JoinLink) -> str:
        """Return the token, about 50 characters."""
        content = bytes([link.role, link.number]) + link.site_tag + link.appointment.encode("ascii")
        return self._secret.seal(_PURPOSE, content, same=True)

    def url(self, public_url: str, link: JoinLink) -> str:
        """Return the address under the organisation's own domain; far below the EHR's 255 characters."""
        return f"{public_url}{PATH}{self.token(link)}"

    def read(self, token: str) -> JoinLink:
        """Return what a token stands for.

        Raises:
            LinkError: It was not made by us, or under a key that is gone.
        """
        try:
            content = self._secret.open(_PURPOSE, token, same=True)
            appointment = content[2 + _TAG_BYTES :].decode("ascii")
            link = JoinLink(content[2 : 2 + _TAG_BYTES], appointment, Role(content[0]), content[1])
        except (SealError, ValueError, IndexError) as exc:
            raise LinkError from exc
        if not 0 < len(appointment) <= _FHIR_ID_MAX:
            raise LinkError
        return link
