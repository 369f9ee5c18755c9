"""What messages say: in each language, at the clinic's time, in as few segments as may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ehr_api.v1alpha1.message_templates import Locale, MessageKind, MessageTemplate
from ehr_connector.notify.segments import Alphabet, segments, thrifty
from ehr_connector.notify.wordings import Occasion
from ehr_connector.notify.words import Particulars, email_of, text_of, when, zone_name

LINK = "https://visits.lamna.example/v/AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMnOpQrStU"
VISIT = Particulars("Lamna Healthcare", "Clinic", datetime(2026, 11, 25, 23, tzinfo=UTC), "America/Chicago", LINK)
WITH_HELP = replace(VISIT, help_phone="+18005550199")


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("occasion", Occasion)
def test_each_text_names_who_when_and_how_to_opt_out_and_leads_to_the_visit(occasion: Occasion, locale: Locale) -> None:
    text = text_of(occasion, locale, WITH_HELP)

    assert "Lamna Healthcare" in text
    assert "STOP" in text
    assert thrifty(when(locale, VISIT.start, VISIT.zone)) in text or when(locale, VISIT.start, VISIT.zone) in text
    assert (f"{LINK} " in f"{text} ") == (occasion is not Occasion.CANCELLATION)
    assert "{" not in text


@pytest.mark.parametrize("locale", [Locale.ENGLISH, Locale.SPANISH])
@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("month", range(1, 13))
def test_a_language_that_gsm_7_can_write_is_kept_in_it(occasion: Occasion, locale: Locale, month: int) -> None:
    for day in range(1, 8):  # each weekday: sábado has a letter that GSM-7 has not
        text = text_of(occasion, locale, replace(WITH_HELP, start=datetime(2026, month, day, 23, tzinfo=UTC)))
        assert segments(text).alphabet is Alphabet.GSM_7


def test_the_link_that_a_clinician_sends_fits_into_one_segment() -> None:
    assert segments(text_of(Occasion.LINK, Locale.ENGLISH, WITH_HELP)).count == 1


def test_a_help_phone_is_named_only_where_there_is_one() -> None:
    assert "Help: +18005550199." in text_of(Occasion.REMINDER, Locale.ENGLISH, WITH_HELP)
    assert "Help" not in text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT)


def test_the_organisations_own_words_stand_before_the_built_in_ones() -> None:
    own = MessageTemplate(
        kind=MessageKind.REMINDER, locale=Locale.ENGLISH, text="{department}: “{time}” {helpPhone}{link} {optOut}"
    )

    assert text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT, [own]).startswith("Clinic: “Wed, Nov 25 ")
    assert text_of(Occasion.REMINDER, Locale.SPANISH, VISIT, [own]).startswith("Lamna Healthcare: recordatorio")
    assert text_of(Occasion.LINK, Locale.ENGLISH, VISIT, [own]).startswith("Lamna Healthcare: video visit")


def test_braces_in_a_value_are_text() -> None:
    named = replace(VISIT, organization="{link} & {optOut}")
    assert text_of(Occasion.LINK, Locale.ENGLISH, named).startswith("{link} & {optOut}: video visit")


@pytest.mark.parametrize(
    ("start", "clock", "zone"),
    [
        (datetime(2026, 3, 8, 7, 59, tzinfo=UTC), "1:59", "CST"),
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), "3:00", "CDT"),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "1:30", "CDT"),
        (datetime(2026, 11, 1, 7, 30, tzinfo=UTC), "1:30", "CST"),
    ],
    ids=["before spring", "after spring", "first 1:30", "second 1:30"],
)
def test_times_are_right_over_changes_of_the_clocks(start: datetime, clock: str, zone: str) -> None:
    assert f" {clock}" in when(Locale.ENGLISH, start, "America/Chicago")
    assert zone_name(Locale.ENGLISH, start, "America/Chicago") == zone


def test_a_zone_without_a_short_name_in_the_language_has_its_long_one() -> None:
    start = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert zone_name(Locale.ENGLISH, start, "Asia/Riyadh") == "Arabian Standard Time"
    assert zone_name(Locale.SPANISH, start, "America/Chicago") == "hora de verano central"


@pytest.mark.parametrize("locale", Locale)
def test_an_email_has_a_subject_and_no_word_of_stop(locale: Locale) -> None:
    subject, text = email_of(Occasion.LINK, locale, WITH_HELP)

    assert "Lamna Healthcare" in subject
    assert LINK in text
    assert "STOP" not in text


@pytest.mark.parametrize(
    ("text", "alphabet", "count"),
    [
        ("", Alphabet.GSM_7, 1),
        ("a" * 160, Alphabet.GSM_7, 1),
        ("a" * 161, Alphabet.GSM_7, 2),
        ("a" * 306, Alphabet.GSM_7, 2),
        ("a" * 307, Alphabet.GSM_7, 3),
        ("€" * 80, Alphabet.GSM_7, 1),
        ("€" * 81, Alphabet.GSM_7, 2),
        ("a" + "€" * 152, Alphabet.GSM_7, 2),
        ("€" * 153, Alphabet.GSM_7, 3),
        ("é" * 160, Alphabet.GSM_7, 1),
        ("á" * 70, Alphabet.UCS_2, 1),
        ("á" * 71, Alphabet.UCS_2, 2),
        ("😀" * 35, Alphabet.UCS_2, 1),
        ("😀" * 67, Alphabet.UCS_2, 3),
    ],
)
def test_segments_are_counted_as_carriers_do(text: str, alphabet: Alphabet, count: int) -> None:
    assert (segments(text).alphabet, segments(text).count) == (alphabet, count)


def test_accents_are_given_up_only_where_that_saves_the_alphabet() -> None:
    assert thrifty("sábado, 5:00\N{NARROW NO-BREAK SPACE}PM\N{EN DASH}“más”") == 'sabado, 5:00 PM-"mas"'
    assert thrifty("sábado 周六") == "sábado 周六"
    assert thrifty("mañana é Ü") == "mañana é Ü"
