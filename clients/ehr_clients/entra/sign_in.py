"""The sign-in of a person, of which only who it was is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msal  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from ehr_clients.entra.applications import Applications, check
from ehr_clients.entra.transport import SYSTEM
from ehr_clients.errors import ContractError, RefusedError

_SIGN_IN = "sign in"


@dataclass(frozen=True, slots=True)
class Account:
    """A person who has signed in. The names are for this person's eyes only, and are not kept."""

    object_id: str
    tenant_id: str
    display_name: str = field(repr=False)
    username: str = field(repr=False)
    roles: frozenset[str] = frozenset()
    """App roles at the application, by their values."""


class PersonSignIn:
    """Signs people in by authorization code with PKCE."""

    def __init__(self, applications: Applications) -> None:
        self._entra = applications

    async def sign_in_address(
        self, tenant: str, client: str, redirect_uri: str, login_hint: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return the address to which a person is sent, and the flow: kept sealed by the caller until they are back.

        Raises:
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave no usable answer.
        """

        def begin() -> dict[str, Any]:
            application = self._signing_in(tenant, client)
            # msal warns of every other response mode than form_post.
            return application.initiate_auth_code_flow(
                scopes=[],
                redirect_uri=redirect_uri,
                login_hint=login_hint,
                response_mode="form_post",
                # On a shared workstation somebody else may be signed in still.
                prompt="select_account",
            )

        flow = await self._entra.in_thread(_SIGN_IN, begin)
        # A form is posted across sites, without the cookie that holds the flow; PKCE makes a code in the query worthless.
        return str(flow.pop("auth_uri")).replace("response_mode=form_post", "response_mode=query"), flow

    async def signed_in(self, tenant: str, client: str, flow: Mapping[str, Any], query: Mapping[str, str]) -> Account:
        """Return who signed in, from the query with which they came back.

        Raises:
            CredentialError: The credential cannot be read.
            RefusedError: `code` says why: access_denied or AADSTS65004 when the person gave up, another AADSTS number, `state` or `nonce`
                when the answer does not belong to this flow, `tenant` when it is somebody of another tenant.
            RemoteError: Entra gave no usable answer.
        """

        def end() -> dict[str, Any]:
            try:
                return self._signing_in(tenant, client).acquire_token_by_auth_code_flow(dict(flow), dict(query))
            except RuntimeError as exc:  # msal's word for an id_token of another sign-in
                raise RefusedError(
                    SYSTEM, _SIGN_IN, "the id_token is not of this sign-in", status=400, code="nonce"
                ) from exc

        if not flow.get("state") or flow["state"] != query.get("state"):
            raise RefusedError(SYSTEM, _SIGN_IN, "the answer is not of this sign-in", status=400, code="state")
        answer = await self._entra.in_thread(_SIGN_IN, end)
        check(answer, _SIGN_IN)
        claims: Mapping[str, Any] = answer.get("id_token_claims") or {}
        object_id, tenant_id = str(claims.get("oid", "")), str(claims.get("tid", ""))
        if not object_id or not tenant_id:
            raise ContractError(SYSTEM, _SIGN_IN, "unexpected body at: id_token")
        if tenant_id.lower() != tenant.lower():
            raise RefusedError(SYSTEM, _SIGN_IN, "the account is of another tenant", status=403, code="tenant")
        roles = claims.get("roles")
        return Account(
            object_id.lower(),
            tenant_id.lower(),
            str(claims.get("name", "")),
            str(claims.get("preferred_username", "")),
            frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset(),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] (claims are JSON)
        )

    def _signing_in(self, tenant: str, client: str) -> Any:
        _, value = self._entra.credential.read()
        return self._entra.of(tenant, client, value, _Forgetful())


class _Forgetful(msal.TokenCache):
    """Keeps nothing of a person who signs in: only who it was is wanted."""

    def add(self, event: Any, now: float | None = None) -> None:
        """Keep nothing."""
