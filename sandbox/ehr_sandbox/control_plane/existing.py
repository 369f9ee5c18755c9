"""A cluster that is there already, taken over by `USE_EXISTING_CLUSTER=true` as envtest does."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ehr_sandbox.control_plane.cluster import ControlPlaneError
from ehr_sandbox.control_plane.credentials import write_token_kubeconfig

EXISTING_VARIABLE = "USE_EXISTING_CLUSTER"
_OUR_CRD = "fhirendpoints.ehrconnector.io"
_BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "ehr-sandbox-service-account-issuer-discovery"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:service-account-issuer-discovery",
    },
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}],
}
"""Lets the connector, which runs outside of the cluster, read the public keys of service-account tokens."""


def is_wanted() -> bool:
    """Return whether the environment asks for the existing cluster."""
    return os.environ.get(EXISTING_VARIABLE, "").lower() in {"true", "1", "yes"}


@dataclass(frozen=True, slots=True)
class ExistingCluster:
    """The cluster of the current kubeconfig context. What is created in it is taken away at the end."""

    kubectl: Path
    kubeconfig: Path
    server_url: str
    ca_file: Path
    issuer: str
    jwks_url: str | None

    @classmethod
    @asynccontextmanager
    async def use(cls) -> AsyncGenerator[ExistingCluster]:
        """Use the cluster for the time of the block.

        Raises:
            ControlPlaneError: There is no kubectl or no cluster, or our resources live there already.
        """
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise ControlPlaneError(f"{EXISTING_VARIABLE} needs kubectl on PATH: install it, or unset the variable")
        with TemporaryDirectory(prefix="ehr-existing-cluster-") as folder:
            kubeconfig = Path(folder) / "kubeconfig"
            view = await _kubectl(kubectl, "config", "view", "--raw", "--minify", "--flatten", "-o", "json")
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(view, encoding="utf-8")
            given: dict[str, Any] = json.loads(view)["clusters"][0]["cluster"]
            ca_file = Path(folder) / "ca.pem"
            ca_file.write_bytes(base64.b64decode(given.get("certificate-authority-data", "")))
            config = f"--kubeconfig={kubeconfig}"
            if await _kubectl(kubectl, config, "get", "crd", _OUR_CRD, "--ignore-not-found", "-o", "name"):
                raise ControlPlaneError(
                    f"the cluster at {given['server']} has {_OUR_CRD} already: the demo would meddle with what is in use"
                    " there; take another cluster"
                )
            found = json.loads(await _kubectl(kubectl, config, "get", "--raw", "/.well-known/openid-configuration"))
            await _kubectl(kubectl, config, "apply", "-f", "-", stdin=yaml.safe_dump(_BINDING))
            try:
                yield cls(
                    Path(kubectl),
                    kubeconfig,
                    given["server"],
                    ca_file,
                    found["issuer"],
                    f"{given['server']}/openid/v1/jwks",
                )
            finally:
                await _kubectl(
                    kubectl, config, "delete", "-f", "-", "--ignore-not-found", stdin=yaml.safe_dump(_BINDING)
                )

    def write_kubeconfig(
        self, path: Path, *, token_file: Path | None = None, token: str | None = None, namespace: str = "default"
    ) -> None:
        """Write a kubeconfig for a service account, by the file that holds its token or by the token itself."""
        write_token_kubeconfig(
            path, self.server_url, self.ca_file, token_file=token_file, token=token, namespace=namespace
        )

    async def mint_token(self, namespace: str, service_account: str, audience: str | None, seconds: int) -> str:
        """Return a token of the service account, for `audience` or else for the API server itself."""
        options = [f"--kubeconfig={self.kubeconfig}", f"--namespace={namespace}", f"--duration={seconds}s"]
        if audience is not None:
            options.append(f"--audience={audience}")
        return (await _kubectl(str(self.kubectl), *options, "create", "token", service_account)).strip()


async def _kubectl(program: str, *arguments: str, stdin: str | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(None if stdin is None else stdin.encode())
    if process.returncode != 0:
        raise ControlPlaneError(f"kubectl {' '.join(arguments)}: {err.decode(errors='replace').strip()}")
    return out.decode()
