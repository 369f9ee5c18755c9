"""`python -m ehr_connector`: serve, make a key, migrate the database, audit, forget a user, preview messages."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.entra.credentials import CredentialError
from ehr_connector.administration import export_audit, forget_user, verify_audit
from ehr_connector.app import create_app
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.make import KeyKind, new_keys
from ehr_connector.notify.provider import ProviderError
from ehr_connector.notify.wording.preview import PRICES, price_table
from ehr_connector.notify.wording.preview_command import preview_messages
from ehr_connector.serving import server
from ehr_connector.settings import DatabaseSettings, Settings
from ehr_connector.store.access import opened
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
                return _on_database(_migrate)
            case "audit":
                return _on_database(lambda engine: _audit(engine, arguments))
            case "preview-messages":
                return preview_messages(arguments.filename, as_json=arguments.json, prices=arguments.prices)
            case "forget-user":
                return _on_database(lambda engine: forget_user(engine, arguments.base_url, arguments.ehr_user))
            case _:
                return _serve(load(Settings))
    except (SettingsError, KeysError, ProviderError, CredentialError) as exc:
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
    audit = commands.add_parser("audit", help="verify or export the audit log").add_subparsers(
        dest="audit_command", metavar="COMMAND", required=True
    )
    verify = audit.add_parser("verify", help="exit status 1, and the number of the first row that does not fit")
    verify.add_argument("--known", metavar="NUMBER:DIGEST", help="the newest row of an earlier run, still to be there")
    audit.add_parser("export", help="print FHIR R4 AuditEvents, one JSON object a line")
    texts = commands.add_parser(
        "preview-messages", help="show every message of an organisation's YAML, with segments and cost; asks nobody"
    )
    texts.add_argument(
        "-f", "--filename", type=Path, nargs="+", required=True, metavar="DIR|FILE", help="YAML files, or folders"
    )
    texts.add_argument("--json", action="store_true", help="print JSON")
    texts.add_argument(
        "--prices",
        type=price_table,
        default=PRICES,
        metavar="US=0.0100,CA=0.0160",
        help="US dollars a segment, by the recipient's country",
    )
    forget = commands.add_parser("forget-user", help="remove the Microsoft accounts of a user of the EHR")
    forget.add_argument("--base-url", required=True, metavar="URL", help="FHIR base URL of the EHR")
    forget.add_argument(
        "--ehr-user", required=True, metavar="ID", help="the user's unique id there, for example Practitioner/4122600"
    )
    return parser


def _on_database(work: Callable[[AsyncEngine], Awaitable[int]]) -> int:
    async def run(settings: DatabaseSettings) -> int:
        async with opened(settings) as engine:
            return await work(engine)

    return asyncio.run(run(load(DatabaseSettings)))


def _audit(engine: AsyncEngine, arguments: argparse.Namespace) -> Awaitable[int]:
    return export_audit(engine) if arguments.audit_command == "export" else verify_audit(engine, arguments.known)


async def _migrate(engine: AsyncEngine) -> int:
    print(f"The database is at revision {await migrate(engine)}.")  # noqa: T201 (what the command is for)
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
