"""What an application proves itself to Entra ID with. Files are read when they are needed, so that a renewed one counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class CredentialError(Exception):
    """The application's credential cannot be read; the message says why and holds nothing of it."""


class Credential(Protocol):
    """What the application proves itself with."""

    def read(self) -> tuple[str, Any]:
        """Return what tells this content from another, and the credential as msal takes it.

        Raises:
            CredentialError: It cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class FederatedToken:
    """A token of another issuer that Entra trusts, in a file that is renewed: a Kubernetes service account's."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Check that there is one now; msal reads it anew whenever it needs it."""
        _text_of(self.path)
        return "federated", {"client_assertion": lambda: _text_of(self.path)}


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret in a file."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Return the secret."""
        secret = _text_of(self.path)
        return secret, secret


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key with its certificate, both in one PEM file."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Return the key and its certificate."""
        pem = _text_of(self.path)
        try:
            load_pem_private_key(pem.encode(), password=None)
            x509.load_pem_x509_certificate(pem.encode())
        except (ValueError, TypeError):
            raise CredentialError(f"{self.path} must hold a private key and its certificate, as PEM") from None
        return pem, {"private_key": pem, "public_certificate": pem}


_CREDENTIALS: Mapping[str, Callable[[Path], Credential]] = {
    "federated-token": FederatedToken,
    "client-secret": ClientSecret,
    "certificate": Certificate,
}


def credential(setting: str) -> Credential:
    """Return the credential of a setting: `federated-token:PATH`, `client-secret:PATH` or `certificate:PATH`.

    Raises:
        ValueError: It is none of them.
    """
    kind, _, path = setting.partition(":")
    if kind not in _CREDENTIALS or not path:
        raise ValueError("must be federated-token:PATH, client-secret:PATH or certificate:PATH")
    return _CREDENTIALS[kind](Path(path))


def _text_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as exc:
        raise CredentialError(f"{path} cannot be read: {type(exc).__name__}") from exc
    if not text:
        raise CredentialError(f"{path} is empty")
    return text
