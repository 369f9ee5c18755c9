"""What the patients of one endpoint know, as far as it is in memory; all that leads to a visit is a keyed digest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.planner.plan import Heard, Past
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.notices import Known, Notice, Notices
from ehr_connector.visits.booking import Booking

_CANCELLED = "cancelled"
_REMINDERS = frozenset({Occasion.REMINDER.value})


class Knowledge:
    """What patients know of visits."""

    def __init__(self, notices: Notices, secret: SecretKeys) -> None:
        self._notices = notices
        self._secret = secret
        self._known: dict[str, Known] = {}
        self._abouts: dict[str, tuple[str, str]] = {}
        """What the EHR says of each visit, and its digest: computed once."""

    async def load(self, visits: Iterable[str]) -> None:
        """Read what is written down of visits of which nothing is in memory."""
        unknown = [visit for visit in visits if visit not in self._known]
        if unknown:
            written = await self._notices.known(unknown, _REMINDERS)
            self._known |= {visit: written.get(visit, Known()) for visit in unknown}

    def doubt(self, visit: str) -> None:
        """Read it anew: something else may be written down."""
        self._known.pop(visit, None)

    def keep(self, visits: Collection[str]) -> None:
        """Keep nothing but this in memory."""
        for known in (self._known, self._abouts):
            for visit in known.keys() - visits:
                del known[visit]

    def is_nothing(self, visit: str) -> bool:
        """Return whether nothing is known of a visit, for certain."""
        known = self._of(visit)
        return known.about is None and known.perhaps is None

    def is_begun(self, visit: str) -> bool:
        """Return whether the first that a patient is to hear may have gone out, and has not ended."""
        known = self._of(visit)
        return known.about is None and known.perhaps is not None

    def perhaps(self, visit: str, found: Booking) -> Notice | None:
        """Return what the patient was perhaps told, although it is not what the EHR says now."""
        perhaps = self._of(visit).perhaps
        if perhaps is None or perhaps == self._about(visit, found):
            return None
        return replace(self.notice(visit, found), about=perhaps)

    def past(self, visit: str, found: Booking, reminders: Sequence[timedelta]) -> Past:
        """Return what a plan takes into account."""
        known = self._of(visit)
        reminded = frozenset(
            offset
            for offset in (reminders if known.reminded else ())
            if self.reminder(visit, found, offset) in known.reminded
        )
        return Past(self._heard(visit, found, known), known.since, reminded)

    def notice(self, visit: str, found: Booking) -> Notice:
        """Return what a patient knows who knows what the EHR says."""
        site = found.site
        names = (site.namespace, site.organization_name, site.endpoint.name)
        return Notice(visit, *names, self._about(visit, found), self._of(visit).number + 1)

    def learn(self, notice: Notice, now: datetime) -> None:
        """Know what was written down."""
        self._known[notice.visit] = Known(notice.about, notice.number, now, self._of(notice.visit).reminded)

    def remind(self, visit: str, reminder: str) -> None:
        """Know that a reminder has ended."""
        known = self._of(visit)
        self._known[visit] = replace(known, reminded=known.reminded | {reminder})

    def is_true(self, visit: str, found: Booking, about: str) -> bool:
        """Return whether a confirmation says what the EHR says."""
        return about == self._about(visit, found)

    def forget_reminder(self, visit: str, reminder: str) -> None:
        """Know that a reminder did not arrive."""
        known = self._of(visit)
        self._known[visit] = replace(known, reminded=known.reminded - {reminder})

    def confirmation(self, notice: Notice) -> str:
        """Return the digest of the message that tells a patient some news.

        It says that they are the second or the third, and not which: so two processes of which one is behind cannot both
        tell theirs.
        """
        return self._secret.name("send", notice.visit, "confirmation", str(notice.number))

    def reminder(self, visit: str, found: Booking, offset: timedelta) -> str:
        """Return the digest of a reminder of this time."""
        return self._secret.name("send", visit, Occasion.REMINDER, found.start.isoformat(), str(offset.total_seconds()))

    def _of(self, visit: str) -> Known:
        return self._known.get(visit) or Known()

    def _heard(self, visit: str, found: Booking, known: Known) -> Heard:
        if known.about is None:
            return Heard.NOTHING
        if known.about == self._about(visit, found):
            return Heard.CANCELLATION if found.is_cancelled else Heard.THIS_TIME
        was_cancelled = known.about == self._secret.name("about", visit, _CANCELLED)
        return Heard.CANCELLATION if was_cancelled else Heard.ANOTHER_TIME

    def _about(self, visit: str, found: Booking) -> str:
        """Return the digest of what the EHR says of the visit."""
        says = _CANCELLED if found.is_cancelled else found.start.isoformat()
        standing = self._abouts.get(visit)
        if standing is None or standing[0] != says:
            standing = self._abouts[visit] = (says, self._secret.name("about", visit, says))
        return standing[1]
