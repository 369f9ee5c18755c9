"""Codes and refresh tokens that were given out and may be redeemed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SignIn:
    """A user who signed in to an application."""

    tenant: str
    client_id: str
    user: str
    scopes: tuple[str, ...]
    nonce: str | None
    redirect_uri: str
    code_challenge: str | None
    code_challenge_method: str | None
    issued: datetime


class Grants:
    """What was given out. A code is good once; it is kept afterwards, so that a second use is told from an invention."""

    def __init__(self) -> None:
        self.codes: dict[str, SignIn] = {}
        self.redeemed: set[str] = set()
        self.refresh_tokens: dict[str, SignIn] = {}
        self.sessions: dict[str, tuple[str, str]] = {}
        """Tenant and user of each browser that signed in."""

    def new_code(self, sign_in: SignIn) -> str:
        """Return a new authorization code."""
        code = f"1.A{secrets.token_urlsafe(48)}"
        self.codes[code] = sign_in
        return code

    def new_refresh_token(self, sign_in: SignIn) -> str:
        """Return a new refresh token."""
        token = f"1.R{secrets.token_urlsafe(48)}"
        self.refresh_tokens[token] = sign_in
        return token

    def new_session(self, tenant: str, user: str) -> str:
        """Return the name of a browser's new session."""
        session = secrets.token_urlsafe(24)
        self.sessions[session] = (tenant, user)
        return session
