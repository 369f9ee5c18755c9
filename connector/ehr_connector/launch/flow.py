"""The two halves of an EHR launch, before and after the EHR's authorization server.

Source: SMART App Launch 2.2, "Launch App: EHR Launch" and "Obtain authorization code"; its security rules: `iss` must be
configured before anything is fetched from it, PKCE S256 always, `state` bound to the browser, nonce in the id token.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.smart import LaunchGrant, SigningKey, authorize_address, redeem_code
from ehr_connector.directory import Directory, Site
from ehr_connector.ehr.access import EhrAccess, in_time_for_a_page
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.identity import CLINICIANS, PATIENTS, EhrUser, Identity, IdentityError, NotToldError
from ehr_connector.launch.problems import Initiator, LaunchError, LaunchReason
from ehr_connector.launch.sealed import ExpiredError, OtherBrowserError, Sealed, SealedError, Sealer
from ehr_connector.store.single_use import SingleUse

CALLBACK_PATH = "/launch/callback"
_STATE_LIFE = timedelta(minutes=10)
_SHOWN = 200
_PARAMETER_MAX = 2048
_USER_CONTEXT = frozenset({"launch", "openid", "fhirUser", "online_access"})
"""Scopes that some servers do not repeat in `scope`: what they give is checked itself."""
_REASONS: Mapping[type[SealedError], LaunchReason] = {
    ExpiredError: LaunchReason.EXPIRED_STATE,
    OtherBrowserError: LaunchReason.OTHER_BROWSER,
}


class LaunchState(Sealed):
    """What goes through the EHR as `state`."""

    initiator: Initiator
    verifier: str
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """A completed launch."""

    site: Site
    initiator: Initiator
    user: EhrUser
    patient: str
    encounter: str | None
    need_patient_banner: bool
    record: str | None
    grant: LaunchGrant = field(repr=False)


class LaunchFlow:
    """Begins and completes launches; raises `LaunchError` for everything that ends one."""

    def __init__(
        self,
        *,
        directory: Directory,
        ehr: EhrAccess,
        identity: Identity,
        secret: SecretKeys,
        single_use: SingleUse,
        signing_key: Callable[[], SigningKey],
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._ehr = ehr
        self._identity = identity
        self._secret = secret
        self._single_use = single_use
        self._signing_key = signing_key
        self._now = now
        self._states = Sealer(secret, LaunchState, purpose="launch state", life=_STATE_LIFE, now=now)

    async def begin(
        self, initiator: Initiator, iss: Sequence[str], launch: Sequence[str], record: str | None, browser: str
    ) -> str:
        """Return the address of the EHR's authorization endpoint.

        Raises:
            LaunchError: The launch ends here.
        """
        with _of(await self._site_of_record(record), initiator):
            if len(iss) != 1 or len(launch) != 1 or not launch[0] or len(launch[0]) > _PARAMETER_MAX:
                raise LaunchError(LaunchReason.INVALID_REQUEST)
            site = await self._directory.by_base_url(iss[0])
            if site is None:
                raise LaunchError(LaunchReason.UNKNOWN_ISSUER, iss=iss[0][:_SHOWN])
        with _of(site, initiator):
            await self._check_record(site, record)
            _check_active(site)
            verifier = secrets.token_urlsafe(32)
            state = LaunchState(initiator=initiator, site=site.tag.hex(), verifier=verifier, record=record)
            sealed = self._states.seal(state, browser)
            try:
                async with in_time_for_a_page():
                    configuration = await self._ehr.smart_configuration(site)
                if not configuration.has_pkce:
                    raise LaunchError(LaunchReason.PKCE_MISSING)
                return authorize_address(
                    configuration,
                    client_id=site.endpoint.clinician_client_id,
                    redirect_uri=site.organization.public_url + CALLBACK_PATH,
                    scopes=site.endpoint.clinician_scopes,
                    base_url=site.endpoint.base_url,
                    launch=launch[0],
                    state=sealed,
                    nonce=self._nonce(verifier),
                    code_verifier=verifier,
                )
            except RemoteError as exc:
                raise LaunchError(LaunchReason.EHR_UNAVAILABLE) from exc

    async def complete(self, state: str, code: str | None, error: str | None, browser: str | None) -> Launched:
        """Return the launch that the EHR's answer completes; an answer counts once.

        Raises:
            LaunchError: The launch ends here.
        """
        begun = await self._opened(state, browser)
        site = await self._directory.by_tag(bytes.fromhex(begun.site))
        if site is None:
            raise LaunchError(LaunchReason.INVALID_STATE)
        with _of(site, begun.initiator):
            token = self._secret.name("launch state", state)
            if not await self._single_use.claim(token, self._now() + _STATE_LIFE):
                raise LaunchError(LaunchReason.REPLAYED_STATE)
            _check_active(site)
            if error is not None or not code or len(code) > _PARAMETER_MAX:
                raise LaunchError(LaunchReason.EHR_REFUSED, error=_code(error or "no code"))
            return await self._granted(site, begun, code)

    async def _granted(self, site: Site, begun: LaunchState, code: str) -> Launched:
        try:
            async with in_time_for_a_page():
                grant, user = await self._redeemed(site, begun, code)
        except RefusedError as exc:
            raise LaunchError(LaunchReason.EHR_REFUSED, error=_code(exc.code or str(exc.status))) from exc
        except RemoteError as exc:
            raise LaunchError(LaunchReason.EHR_UNAVAILABLE) from exc
        except NotToldError as exc:
            raise LaunchError(LaunchReason.NO_FHIR_USER) from exc
        except IdentityError as exc:
            raise LaunchError(LaunchReason.INVALID_IDENTITY) from exc
        except KeysError as exc:
            raise LaunchError(LaunchReason.NOT_CONFIGURED) from exc
        missing = grant.missing([one for one in site.endpoint.clinician_scopes if one not in _USER_CONTEXT])
        if missing:
            raise LaunchError(LaunchReason.SCOPES_MISSING, scopes=" ".join(missing))
        if grant.patient is None:
            raise LaunchError(LaunchReason.NO_PATIENT)
        return Launched(
            site=site,
            initiator=begun.initiator,
            user=user,
            patient=grant.patient,
            encounter=grant.encounter,
            need_patient_banner=grant.need_patient_banner,
            record=begun.record,
            grant=grant,
        )

    async def _redeemed(self, site: Site, begun: LaunchState, code: str) -> tuple[LaunchGrant, EhrUser]:
        http = self._ehr.http(site)
        client_id = site.endpoint.clinician_client_id
        configuration = await self._ehr.smart_configuration(site)
        grant = await redeem_code(
            http,
            configuration.token_endpoint,
            client_id=client_id,
            redirect_uri=site.organization.public_url + CALLBACK_PATH,
            code=code,
            code_verifier=begun.verifier,
            key=self._signing_key(),
        )
        user = await self._identity.user(
            http,
            configuration,
            grant.id_token,
            client_id=client_id,
            nonce=self._nonce(begun.verifier),
            base_url=site.endpoint.base_url,
            types=CLINICIANS if begun.initiator is Initiator.PROVIDER else PATIENTS,
            may_be_untold=begun.initiator is Initiator.PROVIDER and "fhirUser" not in grant.scope.split(),
        )
        return grant, user

    async def _opened(self, state: str, browser: str | None) -> LaunchState:
        try:
            return self._states.open(state, browser)
        except SealedError as exc:
            with _of(await self._directory.by_tag(bytes.fromhex(exc.site)) if exc.site else None):
                raise LaunchError(_REASONS.get(type(exc), LaunchReason.INVALID_STATE)) from exc

    async def _site_of_record(self, record: str | None) -> Site | None:
        """Return the site of the integration record from which a launch comes, as far as one can tell."""
        namespace, _, name = (record or "").partition("/")
        return await self._directory.by_name(namespace, name.rpartition("-")[0])

    async def _check_record(self, site: Site, record: str | None) -> None:
        """A record of one endpoint in the EHR of another: that is how Test and Production get mixed up."""
        if record is None:
            return
        namespace, _, name = record.partition("/")
        if site.namespace == namespace and record_of(site, name):
            return
        sites = await self._directory.sites()
        other = next((one for one in sites if one.namespace == namespace and record_of(one, name)), None)
        raise LaunchError(
            LaunchReason.WRONG_RECORD,
            endpoint=site.endpoint.name,
            environment=site.endpoint.environment.value,
            record_endpoint=other.endpoint.name if other else record[:_SHOWN],
            record_environment=other.endpoint.environment.value if other else "-",
        )

    def _nonce(self, verifier: str) -> str:
        return self._secret.name("nonce", verifier)


def record_of(site: Site, record: str) -> bool:
    """Return whether an integration record of this name is one of the endpoint's launches."""
    return record in {f"{site.endpoint.name}-{initiator}" for initiator in Initiator}


def _check_active(site: Site) -> None:
    if not site.endpoint.active:
        raise LaunchError(
            LaunchReason.INACTIVE,
            endpoint=site.endpoint.name,
            environment=site.endpoint.environment.value,
            namespace=site.namespace,
        )


@contextmanager
def _of(site: Site | None, initiator: Initiator | None = None) -> Generator[None]:
    """Let an error say whose launch ended."""
    try:
        yield
    except LaunchError as exc:
        exc.site, exc.initiator = site, initiator
        raise


def _code(error: str) -> str:
    """Return an OAuth error code as it may be shown: RFC 6749 allows little, and a page shows no more."""
    return "".join(character for character in error[:64] if character.isalnum() or character in "_-. ")
