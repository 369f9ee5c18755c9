"""The few requests that the sandbox itself makes to its API server, as its administrator."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from ehr_sandbox.control_plane.credentials import Credentials

_TIMEOUT_S = 10.0

_ISSUER_DISCOVERY = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "sandbox-service-account-issuer-discovery"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:service-account-issuer-discovery",
    },
    "subjects": [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"system:{group}"}
        for group in ("authenticated", "unauthenticated")
    ],
}


class ApiError(Exception):
    """The API server refused a request of the sandbox; the message holds its own reason."""


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Plain requests with the administrator's certificate."""

    server_url: str
    credentials: Credentials

    def is_ready(self) -> bool:
        """Whether the API server answers, and says that it is ready."""
        return self._is_found("/readyz")

    def has_default_service_account(self) -> bool:
        """Whether the controllers work: one of them makes this account soon after it starts."""
        return self._is_found("/api/v1/namespaces/default/serviceaccounts/default")

    def _is_found(self, path: str) -> bool:
        try:
            status, _ = self._exchange("GET", path, None)
        except (OSError, HTTPException):
            return False
        return status == HTTPStatus.OK

    def publish_issuer(self) -> None:
        """Let everybody read the keys of service-account tokens, as managed clusters do. May be repeated."""
        self.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _ISSUER_DISCOVERY)

    def mint_token(self, namespace: str, service_account: str, audience: str | None, seconds: int) -> str:
        """A token of the service account; without an audience it is for the API server itself.

        Raises:
            ApiError: There is no such service account, or `seconds` is less than 600.
        """
        audiences = [] if audience is None else [audience]
        answer = self.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": audiences, "expirationSeconds": seconds},
            },
        )
        token: str = answer["status"]["token"]
        return token

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST `body`; an object that exists already is left as it is.

        Raises:
            ApiError: The API server refused it.
        """
        status, answer = self._exchange("POST", path, json.dumps(body))
        document: dict[str, Any] = json.loads(answer)
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.CONFLICT:
            raise ApiError(f"POST {path}: {document.get('message', f'status {status}')}")
        return document

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.credentials.ca_file))
        context.load_cert_chain(self.credentials.admin_cert, self.credentials.admin_key)
        connection = HTTPSConnection(urlsplit(self.server_url).netloc, timeout=_TIMEOUT_S, context=context)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
