"""How the operator reaches the API server: in-cluster, or by a kubeconfig; for our own calls and for Kopf's watches alike."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio import client, config

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_IN_CLUSTER = _ACCOUNT / "token"
RELOAD_AFTER = timedelta(minutes=5)
"""A service-account token lives an hour or more and is renewed in its file well before: it is read again this often."""


async def load_configuration() -> client.Configuration:
    """Return fresh connection data; files are read anew on each call.

    Raises:
        kubernetes.aio.config.ConfigException: There is neither a kubeconfig nor a service account.
    """
    configuration = client.Configuration()
    library: Any = config  # it has no complete types
    if _in_cluster():
        library.load_incluster_config(client_configuration=configuration)
    else:
        await library.load_kube_config(client_configuration=configuration)
    return configuration


async def connection_info() -> kopf.ConnectionInfo:
    """Return the same as Kopf wants it, to be asked for again when the token may have been renewed."""
    configuration = await load_configuration()
    scheme, _, token = (await bearer_token(configuration) or "").partition(" ")
    return kopf.ConnectionInfo(
        server=str(configuration.host),
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        expiration=datetime.now(UTC) + RELOAD_AFTER,
    )


async def bearer_token(configuration: client.Configuration) -> str | None:
    """Return the value of the Authorization header, where a token is used."""
    return await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")


def own_namespace() -> str | None:
    """Return the namespace of the pod that this runs in, or None outside a cluster."""
    return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() if _in_cluster() else None


def _in_cluster() -> bool:
    return "KUBECONFIG" not in os.environ and _IN_CLUSTER.exists()
