"""Who launched: the id token of the EHR.

Source: OpenID Connect Core 1.0, section 3.1.3.7; SMART App Launch 2.2, "Scopes for requesting identity data" (fhirUser).
Cerner's id tokens name an issuer of their own below that of its SMART configuration, with its own discovery document.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact
from pydantic import BaseModel, Field

from ehr_clients.errors import ContractError
from ehr_clients.fhir import SYSTEM
from ehr_clients.http import Http, ask, check, parse
from ehr_clients.smart import SmartConfiguration
from ehr_connector.store.organizations import canonical

CLINICIANS = frozenset({"Practitioner", "PractitionerRole"})
"""Types of resource that a user who launches from the EHR is."""
PATIENTS = frozenset({"Patient", "RelatedPerson"})
"""Types of resource that a user who launches from a portal is: nobody else gets a patient's link so."""
_ALGORITHMS = ["RS256", "RS384", "ES256", "ES384"]
_BAD_TOKEN = (JoseError, ValueError, KeyError, TypeError)
"""joserfc lets a header or a JWK of another shape raise any of them."""
_KEYS_MAX = 100
"""Keys of an issuer: reading one takes a while, in which nobody else is served."""
_LEEWAY_S = 60
_KEEP_S = 3600.0
_REFRESH_S = 10.0
_LONGEST = 8192
_SUBJECT_LONGEST = 128


class IdentityError(Exception):
    """The id token does not hold."""


class NotToldError(IdentityError):
    """It holds, and does not say which resource the user is."""


@dataclass(frozen=True, slots=True)
class EhrUser:
    """The user of the EHR; a name is not read."""

    user: str = field(repr=False)
    """Unique id at the FHIR base URL: the relative reference of `fhirUser`, or `sub` where the EHR sends none."""


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str = Field(pattern="^https://", max_length=2048)


class _Jwks(BaseModel):
    keys: list[dict[str, Any]] = Field(max_length=_KEYS_MAX)


class Identity:
    """Checks id tokens; of each base URL the keys of the issuer that was seen last are kept, for an hour."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._keys: dict[str, tuple[str, float, KeySet]] = {}

    async def user(
        self,
        http: Http,
        configuration: SmartConfiguration,
        id_token: str | None,
        *,
        client_id: str,
        nonce: str,
        base_url: str,
        types: frozenset[str],
        may_be_untold: bool = False,
    ) -> EhrUser:
        """Return who the id token says that launched: a resource at `base_url`, of one of `types`.

        `may_be_untold`: an EHR that did not grant the scope fhirUser names the user by the subject alone.

        Raises:
            IdentityError: It does not hold.
            NotToldError: It names no resource.
            RemoteError: The issuer's keys cannot be read.
        """
        if id_token is None or len(id_token) > _LONGEST:
            raise IdentityError("no id token")
        issuer = _issuer(id_token, configuration)
        claims = await self._verified(http, base_url, issuer, id_token)
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as exc:
            raise IdentityError("a claim does not hold") from exc
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise IdentityError("the nonce is another one")
        subject = str(claims["sub"])
        reference = claims.get("fhirUser") or claims.get("profile")
        user = _relative(str(reference), base_url) if reference else None
        if user is None and not may_be_untold:
            raise NotToldError("the user's resource is not told")
        if user is not None and user.partition("/")[0] not in types:
            raise IdentityError("the user is not one who may launch this")
        if not subject or len(user or subject) > _SUBJECT_LONGEST:
            raise IdentityError("the subject is no id")
        return EhrUser(user or subject)

    async def _verified(self, http: Http, base_url: str, issuer: str, id_token: str) -> dict[str, Any]:
        kept_issuer, read_s, keys = self._keys.get(base_url, ("", float("-inf"), None))
        age_s = self._monotonic() - read_s
        if keys is not None and kept_issuer == issuer and age_s < _KEEP_S:
            try:
                return jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims
            except _BAD_TOKEN as exc:
                if age_s < _REFRESH_S:
                    raise IdentityError("the signature is not the issuer's") from exc
        try:
            read = await self._read(http, base_url, issuer)
            return jwt.decode(id_token, read, algorithms=_ALGORITHMS).claims
        except _BAD_TOKEN as exc:
            raise IdentityError("the signature is not the issuer's") from exc

    async def _read(self, http: Http, base_url: str, issuer: str) -> KeySet:
        operation = "read keys of the id token's issuer"
        address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = parse(check(await ask(http, "GET", address, system=SYSTEM, operation=operation)), _Discovery)
        if found.issuer.rstrip("/") != issuer.rstrip("/"):
            raise ContractError(SYSTEM, operation, "it says that its name is another one")
        keys = parse(check(await ask(http, "GET", found.jwks_uri, system=SYSTEM, operation=operation)), _Jwks)
        try:
            imported = KeySet.import_key_set({"keys": keys.keys})  # pyright: ignore[reportArgumentType]  (JSON)
        except _BAD_TOKEN as exc:
            raise ContractError(SYSTEM, operation, "they are no JWK Set") from exc
        self._keys[base_url] = (issuer, self._monotonic(), imported)
        return imported


def _issuer(id_token: str, configuration: SmartConfiguration) -> str:
    """Return the issuer that the token names, when it is the EHR's own or below it: any other could be anybody's."""
    try:
        # Read before it is believed: it only says whose keys must prove it.
        named = str(json.loads(extract_compact(id_token.encode()).payload)["iss"])
    except (JoseError, ValueError, KeyError, TypeError) as exc:
        raise IdentityError("it is no JWT") from exc
    trusted = (configuration.issuer or "").rstrip("/")
    if not trusted.startswith("https://") or not (named.rstrip("/") == trusted or named.startswith(f"{trusted}/")):
        raise IdentityError("its issuer is not the EHR's")
    return named


def _relative(reference: str, base_url: str) -> str | None:
    """Return `Practitioner/123` of a full or relative reference; an id of another server means nothing here."""
    *before, kind, logical_id = "", *reference.rstrip("/").split("/")
    if not kind or not logical_id:
        return None
    base = "/".join(before[1:])
    try:
        if base and canonical(base) != canonical(base_url):
            raise IdentityError("the user is one of another server")
    except ValueError as exc:
        raise IdentityError("the user is one of another server") from exc
    return f"{kind}/{logical_id}"
