"""The languages of the pages: their texts, which one a reader gets, and how they write dates and times.

English is the source: a text stands in templates and modules as it is read, and is the msgid of the other catalogues
(`locales/<language>/messages.po`, read at the start; nothing is compiled).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_time, format_timedelta, get_timezone_name
from babel.messages.pofile import read_po
from markupsafe import Markup, escape

FOLDER = Path(__file__).parents[1] / "locales"
SOURCE = "en"
_PREFERENCES_MAX = 10
"""How many languages of an Accept-Language header are looked at."""


def N_(text: str) -> str:  # noqa: N802 (gettext's own name for it; extractors look for it)
    """Mark a text for the catalogues; it is translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the pages."""

    locale: Locale
    texts: Mapping[str, str] = field(repr=False, default_factory=dict[str, str])
    """Translations by msgid; none for English."""

    @property
    def tag(self) -> str:
        """The language as HTML and HTTP write it (BCP 47)."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """In which direction it is written."""
        return "rtl" if self.locale.text_direction == "rtl" else "ltr"

    @property
    def name(self) -> str:
        """Its name in itself."""
        return self.locale.get_display_name(self.locale) or self.tag

    def text(self, msgid: str, **values: object) -> Markup:
        """Return a text in this language, with `%(name)s` replaced; both the text and the values are escaped."""
        translated = escape(self.texts.get(msgid) or msgid)
        return translated % values if values else translated

    def plain(self, msgid: str, **values: object) -> str:
        """Return a text in this language as what is not markup: for scripts, and for templates, which escape it."""
        return (self.texts.get(msgid) or msgid) % values if values else self.texts.get(msgid) or msgid

    def date(self, moment: datetime, zone: str) -> str:
        """Return the day of `moment` at the clinic, with its weekday."""
        return format_date(moment.astimezone(ZoneInfo(zone)), "full", self.locale)

    def day(self, day: date) -> str:
        """Return a day."""
        return format_date(day, "long", self.locale)

    def time(self, moment: datetime, zone: str) -> str:
        """Return the time of `moment` on the clinic's clocks."""
        return format_time(moment, "short", ZoneInfo(zone), self.locale)

    def zone(self, moment: datetime, zone: str) -> str:
        """Return the name of the clinic's time zone at `moment` (standard or daylight-saving time)."""
        return get_timezone_name(moment.astimezone(ZoneInfo(zone)), "long", locale=self.locale)

    def distance(self, span: timedelta) -> str:
        """Return how far off something is: "in 20 minutes"."""
        return format_timedelta(span, add_direction=True, locale=self.locale)


class Locales:
    """Every language that the pages speak."""

    def __init__(self, folder: Path = FOLDER) -> None:
        catalogues = sorted(folder.glob("*/messages.po"))
        english = Language(Locale.parse(SOURCE))
        self.languages: Sequence[Language] = (english, *(_read(path) for path in catalogues))
        self._by_tag = {language.tag: language for language in self.languages}

    def choose(self, requested: str | None, accept_language: str | None) -> Language:
        """Return the language asked for by its tag, or else the first that the browser prefers and we have, or English."""
        if requested in self._by_tag:
            return self._by_tag[requested]
        for preference in _preferences(accept_language or ""):
            form = _written_form(preference)
            for language in self.languages:
                if form is not None and form == _written_form(language.tag):
                    return language
        return self.languages[0]


def _read(path: Path) -> Language:
    with path.open("rb") as file:
        catalogue = read_po(file)
    texts = {str(message.id): str(message.string) for message in catalogue if message.id and message.string}
    return Language(Locale.parse(path.parent.name), texts)


def _preferences(header: str) -> Sequence[str]:
    """Return the languages of an Accept-Language header, the most wanted first."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(",")[:_PREFERENCES_MAX]:
        tag, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if weight > 0:
            wanted.append((-weight, tag.strip()))
    return [tag for _, tag in sorted(wanted, key=lambda one: one[0])]


@lru_cache(maxsize=1024)
def _written_form(tag: str) -> tuple[str, str | None] | None:
    """Return language and script: zh-CN and zh-SG are written as zh-Hans is, zh-TW is not."""
    try:
        locale = Locale.parse(tag, sep="-")
        if locale.script is None:
            likely = get_global("likely_subtags")
            full = likely.get(f"{locale.language}_{locale.territory}") or likely.get(locale.language)
            locale = Locale.parse(full) if full else locale
    except (ValueError, UnknownLocaleError):  # the second: babel knows `no`, and not what it is in full
        return None
    return locale.language, locale.script
