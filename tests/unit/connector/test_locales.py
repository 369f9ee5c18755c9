import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.localedata import locale_identifiers
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import Environment
from jinja2.ext import babel_extract

import ehr_connector
from ehr_connector.web.locales import FOLDER, Language, Locales

PACKAGE = Path(ehr_connector.__file__).parent
TEMPLATES = sorted((PACKAGE / "templates").glob("*.html"))
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
CATALOGUES = sorted(FOLDER.glob("*/messages.po"))
NO_TEXT = {"\N{MIDDLE DOT}", "\N{EN DASH}"}


def msgids() -> Iterator[str]:
    """Everything that is shown: `_("…")` in templates and scripts' data, `N_("…")` in modules."""
    for path in TEMPLATES:
        with path.open("rb") as file:
            for _line, _function, message, _comments in babel_extract(file, ["_"], [], {"silent": "false"}):
                # With values it is a tuple; None is `_(name)`, which shows what a module marked.
                text = message[0] if isinstance(message, tuple) else message
                if isinstance(text, str):
                    yield text
    for path in sorted(PACKAGE.rglob("*.py")):
        with path.open("rb") as file:
            for _line, message, _comments, _context in extract("python", file, {"N_": None}):
                if message:  # N_'s own definition has none
                    assert isinstance(message, str)
                    yield message


def texts(catalogue: Path) -> dict[str, str]:
    with catalogue.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


@pytest.fixture(scope="module")
def locales() -> Locales:
    return Locales()


def by_tag(locales: Locales, tag: str) -> Language:
    return next(one for one in locales.languages if one.tag == tag)


def test_the_pages_speak_english_spanish_simplified_chinese_and_arabic(locales: Locales) -> None:
    assert {language.tag for language in locales.languages} == {"en", "es", "zh-Hans", "ar"}


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parent.name)
def test_every_text_is_translated_and_no_catalogue_holds_more(catalogue: Path) -> None:
    translated = {msgid for msgid, text in texts(catalogue).items() if text}

    assert {"missing": set(msgids()) - translated, "unused": translated - set(msgids())} == {
        "missing": set(),
        "unused": set(),
    }


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parent.name)
def test_a_translation_has_the_placeholders_of_its_text(catalogue: Path) -> None:
    differing = [
        msgid
        for msgid, text in texts(catalogue).items()
        if sorted(PLACEHOLDER.findall(msgid)) != sorted(PLACEHOLDER.findall(text))
    ]

    assert differing == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_text_of_its_own(template: Path) -> None:
    source = template.read_text()
    data = "".join(
        value if kind == "data" else "\x00"
        for _line, kind, value in Environment().lex(source)
        if kind in {"data", "variable_begin"}
    )

    shown = {word for word in re.sub(r"<[^>]*>", " ", data).replace("\x00", " ").split() if word not in NO_TEXT}
    attributes = re.findall(r'\b(?:aria-label|alt|title|placeholder)="([^"\x00]*\w[^"\x00]*)"', data)

    assert shown == set()
    assert attributes == []


@pytest.mark.parametrize(
    ("accept_language", "tag"),
    [
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-TW,en;q=0.5", "en"),
        ("ar-EG", "ar"),
        ("de-DE,es;q=0.4", "es"),
        ("en;q=0.3,ar;q=0.9", "ar"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
        ("*;q=0.1,,;;q=x,es;q=nonsense", "en"),
        ("ar;q=0", "en"),
    ],
)
def test_the_browser_chooses_the_language(locales: Locales, accept_language: str | None, tag: str) -> None:
    assert locales.choose(None, accept_language).tag == tag


def test_no_language_of_a_browser_is_a_failure_of_ours(locales: Locales) -> None:
    """A browser in Norway sends `no`, of which babel knows less than of others."""
    tags = ["no", *(tag for tag in locale_identifiers() if "_" not in tag)]
    chosen = {tag: locales.choose(None, f"{tag}, es;q=0.5").tag for tag in ("nb-NO,nb;q=0.9,no;q=0.8", *tags)}
    assert chosen["no"] == chosen["nb-NO,nb;q=0.9,no;q=0.8"] == "es"
    assert set(chosen.values()) == {language.tag for language in locales.languages}


def test_the_reader_chooses_before_the_browser(locales: Locales) -> None:
    assert locales.choose("ar", "es").tag == "ar"
    assert locales.choose("xx", "es").tag == "es"


def test_arabic_is_written_from_right_to_left(locales: Locales) -> None:
    assert {one.tag: one.direction for one in locales.languages} == {
        "en": "ltr",
        "es": "ltr",
        "zh-Hans": "ltr",
        "ar": "rtl",
    }


@pytest.mark.parametrize(
    ("moment", "time", "zone"),
    [
        (datetime(2026, 3, 8, 7, 30, tzinfo=UTC), "1:30 AM", "Central Standard Time"),
        (datetime(2026, 3, 8, 8, 30, tzinfo=UTC), "3:30 AM", "Central Daylight Time"),
    ],
    ids=["before the clocks go forward", "after"],
)
def test_times_are_the_clinics_and_name_their_zone(locales: Locales, moment: datetime, time: str, zone: str) -> None:
    english = by_tag(locales, "en")

    assert english.time(moment, "America/Chicago").replace("\u202f", " ") == time
    assert english.zone(moment, "America/Chicago") == zone


def test_a_date_has_its_weekday_in_each_language(locales: Locales) -> None:
    moment = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)

    dates = {one.tag: one.date(moment, "America/Chicago") for one in locales.languages}

    assert dates["en"] == "Monday, November 23, 2026"
    assert dates["es"] == "lunes, 23 de noviembre de 2026"
    assert dates["zh-Hans"] == "2026年11月23日星期一"
    assert "الاثنين" in dates["ar"]


def test_a_distance_is_said_in_each_language(locales: Locales) -> None:
    assert [one.distance(timedelta(minutes=20)) for one in locales.languages if one.tag in {"en", "es"}] == [
        "in 20 minutes",
        "dentro de 20 minutos",
    ]


def test_texts_and_values_are_escaped(locales: Locales) -> None:
    spanish = Language(by_tag(locales, "es").locale, {"Hello %(name)s": '<b>"Hola"</b> %(name)s'})

    assert spanish.text("Hello %(name)s", name="<i>") == "&lt;b&gt;&#34;Hola&#34;&lt;/b&gt; &lt;i&gt;"
