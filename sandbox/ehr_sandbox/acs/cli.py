"""`python -m ehr_sandbox acs`: the simulator of phone numbers and messages as a program."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.acs.state_file import StateFileError
from ehr_sandbox.serving import ServingError, serve_until_stopped

app = typer.Typer(add_completion=False)

_USUAL = Behaviour()


@app.command()
def acs(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    access_key_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="File that holds the access key, base64. A made-up key when not given."
        ),
    ] = None,
    accept_token: Annotated[
        list[str] | None, typer.Option(help="Let in callers with this bearer token; may be repeated.")
    ] = None,
    accept_any_bearer: Annotated[
        bool, typer.Option("--accept-any-bearer", help="Let in callers with any bearer token that is not empty.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers on sale.")] = 1,
    numbers_per_area: Annotated[int, typer.Option(min=0, help="How many numbers each area code has on sale.")] = 20,
    operation_seconds: Annotated[
        float, typer.Option(min=0, help="How long each long-running operation takes.")
    ] = _USUAL.operation_seconds,
    listing_delay_s: Annotated[
        float, typer.Option("--listing-delay", min=0, help="Seconds from a purchase until the number is listed.")
    ] = _USUAL.listing_delay_s,
    purchase_quota: Annotated[int, typer.Option(min=0, help="Numbers that the tenant may own.")] = (
        _USUAL.purchase_quota
    ),
    search_quota: Annotated[int, typer.Option(min=0, help="Searches that the tenant may make in seven days.")] = (
        _USUAL.search_quota
    ),
    verified: Annotated[
        bool, typer.Option("--verified", help="Toll-free numbers count as verified, so that their texts arrive.")
    ] = False,
    email_domain: Annotated[
        list[str] | None,
        typer.Option(help="Domain that may send e-mail; may be repeated. lamna.example when not given."),
    ] = None,
    queue_url: Annotated[
        str | None,
        typer.Option(
            help="Storage queue (with its SAS) that gets delivery reports and received texts as Event Grid has them."
        ),
    ] = None,
    state_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="JSON file that keeps numbers and ledger over a restart.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM certificate chain: serve https.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM key, when it is not in the same file.")
    ] = None,
) -> None:
    """Run a simulator of Azure Communication Services until Ctrl-C or SIGTERM.

    It sells numbers that do not exist for no money. GET /_sandbox on its address tells how to make it fail and how to
    read what was bought and sent; /phone/NUMBER and
    /mailbox/ADDRESS show what arrived. Bearer tokens are compared as text with those that are accepted: it asks no Entra.
    """
    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("must not be given without --tls-cert", param_hint="--tls-key")
    try:
        settings = AcsSettings(
            access_key=example_access_key() if access_key_file is None else access_key_file.read_text().strip(),
            accepted_tokens=frozenset(accept_token or ()),
            accept_any_bearer=accept_any_bearer,
            seed=seed,
            numbers_per_area=numbers_per_area,
            behaviour=Behaviour(
                operation_seconds=operation_seconds,
                listing_delay_s=listing_delay_s,
                purchase_quota=purchase_quota,
                search_quota=search_quota,
                verified_at_once=verified,
            ),
            email_domains=frozenset(email_domain or {"lamna.example"}),
            queue_url=queue_url,
            state_file=state_file,
        )
        served, tell = create_app(settings), partial(_tell, settings)
        asyncio.run(serve_until_stopped(served, tell, host=host, port=port, certificate=tls_cert, key=tls_key))
    except (ValueError, OSError, StateFileError, ServingError) as exc:
        typer.echo(f"Error: {exc}", err=True)
        raise typer.Exit(1) from exc


def _tell(settings: AcsSettings, url: str) -> None:
    typer.echo(f"Simulator of Azure Communication Services: {url} (controls: {url}/_sandbox)")
    if settings.access_key == example_access_key():
        typer.echo(f"Connection string: endpoint={url};accesskey={settings.access_key}")
