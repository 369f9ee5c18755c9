"""`python -m ehr_operator`: run the operator with the settings of the environment, or a command beside it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from ehr_operator.plan_command import command as plan_command
from ehr_operator.program import run
from ehr_operator.settings import Settings
from ehr_program.logs import log_as_json
from ehr_program.settings import SettingsError, help_text, load


def main() -> int:
    """Return the exit status: 0 after a signal, 1 when it broke down, 2 when the settings are wrong."""
    if sys.argv[1:2] == ["plan"]:
        return plan_command.main(sys.argv[2:])  # it has exit statuses of its own, also for wrong arguments
    parser = argparse.ArgumentParser(
        prog="python -m ehr_operator",
        description="Reconciles EHRConnectorConfig, FhirEndpoint and SmsNumber, and writes IntegrationRecords.",
        epilog="Settings, from the environment:\n\n" + help_text(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_subparsers(title="commands (without one, the operator runs)", metavar="").add_parser(
        "plan", help=plan_command.SUMMARY
    )
    parser.parse_args()
    try:
        settings = load(Settings)
    except SettingsError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (logs are not set up yet; this is for a person)
        return 2
    log_as_json(settings.log_level)
    try:
        asyncio.run(run(settings))
    except Exception:
        logging.getLogger("ehr_operator").exception("the operator ends: it must be started anew")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
