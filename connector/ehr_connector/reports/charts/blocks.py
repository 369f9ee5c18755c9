"""From counts to a picture with its table: over time, by name, and lines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ehr_connector.reports.charts.drawing import Series, Shape, Tone, chart
from ehr_connector.reports.web.filters import Chosen
from ehr_connector.reports.web.views import Block, Table, Written
from ehr_connector.web.locales import N_, Language

_BY_DAY_MAX = 45
_BY_WEEK_MAX = 200
_BARS_MAX = 12
Counted = Mapping[Any, int]
"""How many of each kind (members of a StrEnum); a kind that none has may be missing."""


@dataclass(frozen=True, slots=True)
class Group:
    """Kinds that are counted together."""

    name: str
    """A msgid."""
    tone: Tone
    kinds: frozenset[str]

    def of(self, counts: Counted) -> int:
        """Return how many there are."""
        return sum(count for kind, count in counts.items() if kind in self.kinds)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What every block of a page is made with."""

    chosen: Chosen
    language: Language

    @property
    def written(self) -> Written:
        """How numbers are written."""
        return Written(self.language)

    def text(self, msgid: str) -> str:
        """Return a text in the reader's language, as it is before HTML."""
        return self.language.text(msgid).unescape()

    def over_time(self, name: str, title: str, by_day: Mapping[date, Counted], groups: Sequence[Group]) -> Block:
        """Return columns for each day, week or month; those without anything are there too.

        Where clinics are in several zones, a visit may be on the day before the first or after the last at its own: it is counted
        with that, so that the columns add up to the figures above them.
        """
        steps = _steps(self.chosen)
        sums = {start: [0] * len(groups) for start in steps.starts}
        for day, counts in by_day.items():
            row = sums[steps.start_of(min(max(day, self.chosen.first), self.chosen.last))]
            for number, group in enumerate(groups):
                row[number] += group.of(counts)
        labels = [self._label(steps, start) for start in sums]
        return self._block(name, title, Shape.COLUMNS, self.text(steps.name), labels, list(sums.values()), groups)

    def by_name(
        self, name: str, title: str, kind: str, counts: Mapping[str, Counted], groups: Sequence[Group]
    ) -> Block:
        """Return a bar for each name, the longest first; the picture has the first dozen, the table all."""
        rows = {label: [group.of(counted) for group in groups] for label, counted in counts.items()}
        labels = sorted(rows, key=lambda label: -sum(rows[label]))
        sums = [rows[label] for label in labels]
        return self._block(name, title, Shape.BARS, self.text(kind), labels, sums, groups)

    def plain(self, name: str, title: str, kind: str, counts: Mapping[str, int], tone: Tone, unit: str) -> Block:
        """Return a bar for each name, in the order given; `unit` (a msgid) says what is counted."""
        values = [[count] for count in counts.values()]
        group = Group(unit, tone, frozenset())
        return self._block(name, title, Shape.BARS, self.text(kind), list(counts), values, [group])

    def lines(
        self,
        name: str,
        title: str,
        lines: Sequence[tuple[str, Tone, Mapping[date, float | None]]],
        form: Callable[[float | None], str],
        axis: Callable[[float], float] = float,
    ) -> Block:
        """Return a line of each kind, a point a day; `axis` is what the picture shows of a value."""
        usual = {self.chosen.first + timedelta(days=number) for number in range(self.chosen.days)}
        # Lines cannot be added up: a day before or after those that are chosen, at a clinic in another zone, has its own place.
        days = sorted(usual.union(*(values for _, _, values in lines)))
        series = [
            Series(self.text(words), tone, [None if (v := values.get(day)) is None else axis(v) for day in days])
            for words, tone, values in lines
        ]
        labels = [self.written.day(day) for day in days]
        told = [day for day in days if any(values.get(day) is not None for _, _, values in lines)]
        rows = [[self.written.whole_day(day), *(form(values.get(day)) for _, _, values in lines)] for day in told]
        return Block(
            id=name,
            title=self.text(title),
            table=Table([self.text(N_("Day")), *(one.name for one in series)], rows),
            picture=chart(Shape.LINES, labels, series, title=self._about(title), form=self.written.number),
            legend=[(one.tone, one.name) for one in series],
        )

    def _block(
        self,
        name: str,
        title: str,
        shape: Shape,
        kind: str,
        labels: Sequence[str],
        sums: Sequence[Sequence[int]],
        groups: Sequence[Group],
    ) -> Block:
        names = [self.text(group.name) for group in groups]
        shown = len(labels) if shape is Shape.COLUMNS else _BARS_MAX
        series = [
            Series(names[number], group.tone, [row[number] for row in sums[:shown]])
            for number, group in enumerate(groups)
        ]
        several = len(groups) > 1
        total = [self.text(N_("Total"))] if several else []
        rows = [
            [label, *(self.written.number(value) for value in ([*row, sum(row)] if several else row))]
            for label, row in zip(labels, sums, strict=True)
        ]
        return Block(
            id=name,
            title=self.text(title),
            table=Table([kind, *names, *total], rows),
            picture=chart(shape, labels[:shown], series, title=self._about(title), form=self.written.number),
            legend=[(one.tone, one.name) for one in series if any(one.values)] if several else (),
            hint=self.text(N_("The picture shows the largest; the table has all.")) if len(labels) > shown else None,
        )

    def _about(self, title: str) -> str:
        words = self.language.text(N_("Chart: %(title)s. The table below has its numbers."), title=self.text(title))
        return words.unescape()

    def _label(self, steps: _Steps, start: date) -> str:
        return self.written.month(start) if steps.monthly else self.written.day(start)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of the time axis."""

    name: str
    starts: Sequence[date]
    start_of: Callable[[date], date]
    monthly: bool = False


def _steps(chosen: Chosen) -> _Steps:
    days = [chosen.first + timedelta(days=number) for number in range(chosen.days)]
    if chosen.days <= _BY_DAY_MAX:
        return _Steps(N_("Day"), days, lambda day: day)
    if chosen.days <= _BY_WEEK_MAX:
        return _Steps(N_("Week from"), list(dict.fromkeys(map(_monday, days))), _monday)
    return _Steps(N_("Month"), list(dict.fromkeys(map(_first_of_month, days))), _first_of_month, monthly=True)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _first_of_month(day: date) -> date:
    return day.replace(day=1)
