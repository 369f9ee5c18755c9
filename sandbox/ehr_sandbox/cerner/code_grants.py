"""What an app gets for an authorization code, and later for its refresh token.

Source: SMART App Launch 2.2, "Obtain access token" and "Refresh access token"; Cerner's page "SMART" for `tenant`, for the life
of 570 s, and for a refresh answer without a new refresh token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.id_tokens import IdTokens
from ehr_sandbox.cerner.launches import Code, Launch, Launches
from ehr_sandbox.cerner.oauth_errors import OAuthError
from ehr_sandbox.cerner.settings import CernerSettings

_BETWEEN_REFRESHES = timedelta(seconds=60)


class CodeGrants:
    """Exchanges codes and refresh tokens of a client that has proved itself."""

    def __init__(self, settings: CernerSettings, launches: Launches, id_tokens: IdTokens) -> None:
        self._settings = settings
        self._launches = launches
        self._id_tokens = id_tokens

    def exchange(
        self, addresses: Addresses, client: str, form: Mapping[str, str]
    ) -> tuple[frozenset[str], dict[str, Any]]:
        """Return the scopes, and what the answer holds beside the access token.

        Raises:
            OAuthError: The code is not good for this client, address and verifier; it is used up all the same.
        """
        code = self._launches.take_code(form.get("code", ""))
        if code is None or code.launch.tenant != addresses.tenant or code.client != client:
            raise OAuthError("code")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("redirect-different")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not hmac.compare_digest(challenge, code.challenge):
            raise OAuthError("verifier")
        answer = _context(code.launch)
        if {"online_access", "offline_access"} & code.scopes:
            answer["refresh_token"] = self._launches.keep_session(code)
        if "openid" in code.scopes:
            answer["id_token"] = self._id_token(addresses, code)
        return code.scopes, _changed(answer, code.launch)

    def refresh(
        self, addresses: Addresses, client: str, form: Mapping[str, str]
    ) -> tuple[frozenset[str], dict[str, Any]]:
        """Return the scopes, which may be asked to be fewer, and what the answer holds beside the access token.

        Raises:
            OAuthError: The refresh token is not this client's, or its session has ended.
        """
        session = self._launches.session(form.get("refresh_token", ""))
        if session is None or session.client != client or session.launch.tenant != addresses.tenant:
            raise OAuthError("refresh-token")
        now = self._settings.now()
        if self._settings.throttle_refresh and now < session.refreshed + _BETWEEN_REFRESHES:
            raise OAuthError("refresh-too-soon", retry_after=session.refreshed + _BETWEEN_REFRESHES - now)
        asked = frozenset(form.get("scope", "").split())
        if asked - session.scopes:
            raise OAuthError("scope-refused")
        session.refreshed = now
        return asked or session.scopes, _context(session.launch)

    def _id_token(self, addresses: Addresses, code: Code) -> str:
        opened = code.launch.opened
        who = self._launches.population.person(addresses.tenant, "Practitioner", opened.practitioner)
        return self._id_tokens.issue(addresses, code, who)


def _context(launch: Launch) -> dict[str, Any]:
    opened = launch.opened
    context: dict[str, Any] = {
        "patient": opened.patient,
        "encounter": opened.encounter,
        "need_patient_banner": opened.need_patient_banner,
        "fhirContext": opened.fhir_context,
        "tenant": launch.tenant,
    }
    return {name: value for name, value in context.items() if value is not None}


def _changed(answer: dict[str, Any], launch: Launch) -> dict[str, Any]:
    return {name: value for name, value in (answer | launch.opened.answer).items() if value is not None}
