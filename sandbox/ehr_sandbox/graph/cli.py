"""`python -m ehr_sandbox graph`: the simulator of Entra ID, Graph and Teams as a program."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Annotated

import typer

from ehr_sandbox.graph.app import create_app
from ehr_sandbox.graph.settings import GraphSettings
from ehr_sandbox.graph.world import World, example_world
from ehr_sandbox.serving import ServingError, serve_until_stopped

app = typer.Typer(add_completion=False)

_USUAL = GraphSettings()


@app.command()
def graph(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    tls_cert: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM certificate chain: serve https.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM key, when it is not in the same file.")
    ] = None,
    world: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON file with tenants, applications and users. An example when not given.",
        ),
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Redirect URI of the example's application; may be repeated.")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Address under which others reach it, when it is not the one of their requests.")
    ] = None,
    issuer: Annotated[
        str, typer.Option(help="Issuer of version 2 tokens; {url} and {tenant} are replaced.")
    ] = _USUAL.issuer,
    issuer_v1: Annotated[
        str, typer.Option("--issuer-v1", help="Issuer of version 1 tokens, also those in notifications.")
    ] = _USUAL.issuer_v1,
    ca_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="PEM authorities to trust when notifications are sent."),
    ] = None,
) -> None:
    """Run a simulator of Entra ID, Microsoft Graph and Teams meetings until Ctrl-C or SIGTERM.

    Nobody in it exists. GET /_sandbox on its address tells how to make it fail, and how to play a meeting.
    """
    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("must not be given without --tls-cert", param_hint="--tls-key")
    try:
        settings = GraphSettings(
            public_url=None if public_url is None else public_url.rstrip("/"),
            issuer=issuer,
            issuer_v1=issuer_v1,
            ca_file=ca_file,
        )
        everything = (
            example_world(redirect_uris=redirect_uri)
            if world is None
            else World.model_validate_json(world.read_bytes())
        )
        served = create_app(settings, everything)
        asyncio.run(serve_until_stopped(served, _tell, host=host, port=port, certificate=tls_cert, key=tls_key))
    except (ValueError, ssl.SSLError, OSError, ServingError) as exc:
        typer.echo(f"Error: {exc}", err=True)
        raise typer.Exit(1) from exc


def _tell(url: str) -> None:
    typer.echo(f"Simulator of Entra ID, Graph and Teams: {url} (controls: {url}/_sandbox)")
