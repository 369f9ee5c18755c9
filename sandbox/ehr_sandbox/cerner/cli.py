"""`python -m ehr_sandbox cerner`: the simulator of the EHR as a program."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ehr_sandbox.cerner.app import create_app
from ehr_sandbox.cerner.settings import SANDBOX_TENANT, AppRegistration, CernerSettings
from ehr_sandbox.serving import ServingError, serve_until_stopped

app = typer.Typer(add_completion=False)


@app.command()
def cerner(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    tls_cert: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM certificate chain: serve https.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM key, when it is not in the same file.")
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help=f"GUID of a tenant that exists; may be repeated. {SANDBOX_TENANT} when not given."),
    ] = None,
    any_tenant: Annotated[bool, typer.Option("--any-tenant", help="Every tenant that is a GUID exists.")] = False,
    client: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=JWKS_URL", help="Client with system access that publishes its keys there; may be repeated."
        ),
    ] = None,
    client_secret: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=SECRET", help="Client with system access by a secret; may be repeated."),
    ] = None,
    clinician_app: Annotated[
        list[str] | None,
        typer.Option(
            "--app", metavar="ID=REDIRECT_URI", help="App that clinicians may launch; repeated, it has several URIs."
        ),
    ] = None,
    app_keys: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=JWKS_URL", help="Where an app publishes its keys; one without is public."),
    ] = None,
    launch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LAUNCH_URL", help="What the PowerChart-like page offers; may be repeated."),
    ] = None,
    throttle_refresh: Annotated[
        bool, typer.Option("--throttle-refresh", help="Refuse to refresh a token more than once a minute.")
    ] = False,
    client_ca: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="PEM authorities to trust when keys are fetched."),
    ] = None,
    latency_s: Annotated[float, typer.Option(min=0, help="Seconds that every answer takes longer.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people and, on a day, appointments.")] = 1,
) -> None:
    """Run a simulator of a Cerner (Oracle Health Millennium) FHIR R4 server until Ctrl-C or SIGTERM.

    Nobody in it exists. GET /_sandbox on its address tells how to make it fail and what is in it.
    """
    try:
        settings = CernerSettings(
            tenants=frozenset(tenant or () if tenant or any_tenant else (SANDBOX_TENANT,)),
            any_tenant=any_tenant,
            client_jwks_urls=_pairs("--client", client),
            client_secrets=_pairs("--client-secret", client_secret),
            client_ca=client_ca,
            apps=_apps(clinician_app, _pairs("--app-keys", app_keys)),
            launch_urls=tuple(_pairs("--launch", launch).items()),
            throttle_refresh=throttle_refresh,
            latency_s=latency_s,
            seed=seed,
        )
        served, tell = create_app(settings), partial(_tell, settings)
        asyncio.run(serve_until_stopped(served, tell, host=host, port=port, certificate=tls_cert, key=tls_key))
    except (ValueError, ssl.SSLError, OSError, ServingError) as exc:
        typer.echo(f"Error: {exc}", err=True)
        raise typer.Exit(1) from exc


def _pairs(option: str, values: list[str] | None) -> dict[str, str]:
    return dict(_split(option, values))


def _split(option: str, values: list[str] | None) -> list[tuple[str, str]]:
    pairs = [value.partition("=") for value in values or ()]
    if any(not name or not content for name, _, content in pairs):
        raise ValueError(f"{option} must be an id and its value, with = between them")
    return [(name, content) for name, _, content in pairs]


def _apps(values: list[str] | None, keys: dict[str, str]) -> tuple[AppRegistration, ...]:
    redirect_uris: dict[str, list[str]] = {}
    for client, redirect_uri in _split("--app", values):
        redirect_uris.setdefault(client, []).append(redirect_uri)
    if unknown := sorted(set(keys) - set(redirect_uris)):
        raise ValueError(f"--app-keys must name clients that --app names, not {', '.join(unknown)}")
    return tuple(AppRegistration(client, tuple(uris), keys.get(client)) for client, uris in redirect_uris.items())


def _tell(settings: CernerSettings, url: str) -> None:
    tenant = min(settings.tenants, default="{tenant}")
    typer.echo(f"Simulator of a Cerner FHIR R4 server: {url}/r4/{tenant} (controls: {url}/_sandbox)")
    typer.echo(f"PowerChart-like page: {url}/powerchart")
