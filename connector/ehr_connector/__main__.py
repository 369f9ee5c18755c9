"""`python -m ehr_connector`: serve, make a key, or migrate the database."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from ehr_connector.app import create_app
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.make import KeyKind, new_keys
from ehr_connector.serving import server
from ehr_connector.settings import DatabaseSettings, Settings
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_connector.web.correlation import CorrelationFilter
from ehr_program.logs import log_as_json
from ehr_program.settings import SettingsError, help_text, load


def main() -> int:
    """Return the exit status: 0 when all went well, 1 when it broke down, 2 when the settings are wrong."""
    arguments = _parser().parse_args()
    try:
        match arguments.command:
            case "new-key":
                for path in new_keys(arguments.folder, datetime.now(UTC), arguments.kind or tuple(KeyKind)):
                    print(path)  # noqa: T201 (what the command is for)
                return 0
            case "migrate":
                return asyncio.run(_migrate(load(DatabaseSettings)))
            case _:
                return _serve(load(Settings))
    except (SettingsError, KeysError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (for the person who starts it)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ehr_connector",
        description="Serves virtual visits: configured by the operator, launched by clinicians, joined by patients.",
        epilog="Settings, from the environment:\n\n" + help_text(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve until SIGTERM; the default")
    key = commands.add_parser("new-key", help="make keys, one of each kind; they are used a quarter of an hour later")
    key.add_argument("folder", type=Path, metavar="DIR")
    key.add_argument("--kind", type=KeyKind, action="append", choices=list(KeyKind), help="only this kind")
    commands.add_parser("migrate", help="bring the database to the newest schema; serve does so too")
    return parser


async def _migrate(settings: DatabaseSettings) -> int:
    engine = open_database(settings.database_url)
    try:
        print(f"The database is at revision {await migrate(engine)}.")  # noqa: T201 (what the command is for)
    finally:
        await engine.dispose()
    return 0


def _serve(settings: Settings) -> int:
    log_as_json(settings.log_level)
    for handler in logging.getLogger().handlers:
        handler.addFilter(CorrelationFilter())
    web = server(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        certificate=settings.tls_cert_file and str(settings.tls_cert_file),
        key=settings.tls_key_file and str(settings.tls_key_file),
        trusted_proxies=settings.trusted_proxies,
    )
    web.run()
    return 0 if web.started else 1


if __name__ == "__main__":
    sys.exit(main())
