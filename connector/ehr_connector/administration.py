"""What an administrator asks of the database: does the audit log hold, give it to me, forget a user."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.audit import Action, Audit, Outcome
from ehr_connector.audit_fhir import audit_event_resource
from ehr_connector.store.database import reading
from ehr_connector.store.erasure import Erased, erase_user
from ehr_connector.store.organizations import canonical, claimed_as
from ehr_connector.store.schema import base_url_claim

_ADMINISTRATOR = "administrator"


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def verify_audit(engine: AsyncEngine, known: str | None = None, out: TextIO = sys.stdout) -> int:
    """Say whether the chain holds; return 0 when it does, else 1 with the number of the first row that does not fit.

    The end of a chain can be cut off unseen, unless somebody knows a later row: `known` is what an earlier run said of the
    newest row (`NUMBER:DIGEST`).
    """
    verdict = await Audit(engine, _utc_now).verify(known)
    if verdict.broken_at is not None:
        print(f"The audit log was changed: row {verdict.broken_at} does not fit.", file=out)
        return 1
    print(f"The audit log holds: {verdict.rows} rows. Newest: {verdict.newest}", file=out)
    return 0


async def export_audit(engine: AsyncEngine, out: TextIO = sys.stdout) -> int:
    """Write the log as FHIR R4 AuditEvents, one a line (NDJSON), the oldest first."""
    async for event in Audit(engine, _utc_now).events():
        print(json.dumps(audit_event_resource(event), separators=(",", ":")), file=out)
    return 0


async def forget_user(
    engine: AsyncEngine,
    base_url: str,
    ehr_user: str,
    out: TextIO = sys.stdout,
    now: Callable[[], datetime] = _utc_now,
) -> int:
    """Remove the Microsoft accounts of a user of the EHR, and prove it: rows by table, before and after.

    The audit log says that it was done. Return 1 when a row still names the user, or when nothing was removed and a user of the same
    id is at another base URL; 2 when `base_url` is no URL, or one of which nothing is known: no organisation claims it, and
    no user of it is known from a time when one did.
    """
    try:
        form = canonical(base_url)
    except ValueError:
        print("--base-url must be a URL", file=out)
        return 2
    erased = await erase_user(engine, form, ehr_user)
    async with reading(engine).connect() as connection:
        claim = (
            await connection.execute(select(base_url_claim).where(base_url_claim.c.base_url == claimed_as(form)))
        ).one_or_none()
    namespace, name = (claim.namespace, claim.name) if claim else ("", "")
    removed = sum(erased.removed.values())
    if claim is None and not erased.is_known:
        print("Nothing was removed: no organisation has --base-url, and no user of it is known.", file=out)
        _tell_elsewhere(erased, out)
        return 2
    outcome = Outcome.SUCCESS if removed else Outcome.NOTHING
    target = f"account_link: {removed} removed"
    await Audit(engine, now).record(namespace, name, Action.ERASED, _ADMINISTRATOR, target, outcome)
    print(f"{'table':<20} {'removed':>7} {'left':>7}", file=out)
    for table, left in sorted(erased.left.items()):
        print(f"{table:<20} {erased.removed.get(table, 0):>7} {left:>7}", file=out)
    if erased.is_configured:
        print("The configuration names the user: that comes from your repository, and is removed there.", file=out)
    if any(erased.left.values()):
        print(f"{removed} account links removed. Rows are left that hold an id of the user.", file=out)
        return 1
    if not removed and erased.elsewhere:
        print("Nothing was removed.", file=out)
        _tell_elsewhere(erased, out)
        return 1
    print(f"{removed} account links removed. No row of any table names the user.", file=out)
    return 0


def _tell_elsewhere(erased: Erased, out: TextIO) -> None:
    for one in erased.elsewhere:
        print(f"There is a user of this id at {one}: was that one meant?", file=out)
