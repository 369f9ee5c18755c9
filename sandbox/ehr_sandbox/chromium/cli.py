"""`python -m ehr_sandbox chromium`: print the browser that demo and tests use, after getting it if need be."""

from __future__ import annotations

import typer

from ehr_sandbox.chromium.finding import NoChromiumError, find_or_get

app = typer.Typer(add_completion=False)


@app.command()
def chromium() -> None:
    """Print the path of a Chromium; one that is missing is unpacked into the user's cache."""
    try:
        path = find_or_get(tell=lambda line: typer.echo(line, err=True))
    except NoChromiumError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from None
    typer.echo(str(path))
