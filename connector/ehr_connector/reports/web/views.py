"""What the reports' pages show: one dataclass for each part of a template, and how numbers are written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup

from ehr_connector.web.locales import Language


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that is read at a glance."""

    name: str
    value: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Names and numbers; the first column names the row."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers_from: int = 1
    """The column from which on there are numbers."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page: a picture with its table, or a table alone."""

    id: str
    title: str
    table: Table
    picture: Markup | None = None
    legend: Sequence[tuple[str, str]] = ()
    """Tone and name of each series."""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where something leads."""

    url: str
    text: str
    current: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter that has one value, or none for all."""

    name: str
    label: str
    all_text: str
    options: Sequence[tuple[str, str, bool]]
    """Value, words, and whether it is chosen."""


@dataclass(frozen=True, slots=True)
class FilterView:
    """The form of the filters, which works without a script."""

    first: str
    last: str
    ranges: Sequence[Link]
    choices: Sequence[Choice]
    reset_url: str
    told: str
    """What is shown, in words."""


@dataclass(frozen=True, slots=True)
class ReportView:
    """`report.html`: one page of an organisation's reports."""

    TEMPLATE = "report.html"

    organization_name: str
    title: str
    navigation: Sequence[Link]
    username: str
    csrf: str
    filters: FilterView
    figures: Sequence[Figure]
    blocks: Sequence[Block]
    downloads: Sequence[Link]
    empty: Sequence[str]
    """What to say when there is nothing: why that may be, and what to do."""
    note: str | None = None
    organizations_url: str | None = None
    """Where another organisation can be chosen, when there is another."""


@dataclass(frozen=True, slots=True)
class ChooserView:
    """`report_chooser.html`: which organisation's reports."""

    TEMPLATE = "report_chooser.html"

    organizations: Sequence[Link]


@dataclass(frozen=True, slots=True)
class SignedOutView:
    """`report_signed_out.html`: at the end."""

    TEMPLATE = "report_signed_out.html"

    home_url: str


def labels_of(values: Iterable[str], words: Callable[[str], str]) -> Mapping[str, str]:
    """Return what each value is called; where two are called the same, the value stands behind it, so that each keeps its own."""
    called = {value: words(value) for value in values}
    often = Counter(called.values())
    return {value: f"{label} ({value})" if often[label] > 1 else label for value, label in called.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """How a reader's language writes numbers and times."""

    language: Language

    def number(self, value: float) -> str:
        """Return a number, with at most one decimal."""
        return format_decimal(round(value, 1), locale=self.language.locale)

    def percent(self, ratio: float | None) -> str:
        """Return a ratio in per cent; a dash where there is none."""
        if ratio is None:
            return "\N{EN DASH}"
        return format_percent(ratio, "#,##0.#%", locale=self.language.locale)

    def duration(self, seconds: float | None) -> str:
        """Return a duration in its largest unit that fits; a dash where there is none."""
        if seconds is None:
            return "\N{EN DASH}"
        return format_timedelta(timedelta(seconds=round(seconds)), threshold=1.5, format="short", locale=self._locale)

    def day(self, day: date) -> str:
        """Return a day without its year."""
        return format_skeleton("MMMd", day, locale=self._locale)

    def whole_day(self, day: date) -> str:
        """Return a day with its year."""
        return format_date(day, "medium", locale=self._locale)

    def month(self, day: date) -> str:
        """Return the month of a day."""
        return format_skeleton("yMMM", day, locale=self._locale)

    def moment(self, moment: datetime) -> str:
        """Return a time with its date, as the clock of `moment` has it."""
        return f"{self.whole_day(moment.date())}, {format_time(moment, 'short', locale=self._locale)}"

    @property
    def _locale(self) -> str:
        return str(self.language.locale)
