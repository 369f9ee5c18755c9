"""What messages say: in each language, at the clinic's time, in as few segments as may be."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ehr_api.v1alpha1.message_templates import EmailTemplate, Locale, MessageKind, MessageTemplate
from ehr_connector.notify.wording.segments import Alphabet, segments, thrifty
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.notify.wording.words import Particulars, email_of, help_answer, text_of, when, zone_name

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


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("last", ["U", "7", "_", "-"])
def test_a_phone_that_ends_an_address_at_a_word_boundary_finds_the_whole_link(last: str, locale: Locale) -> None:
    link = f"{LINK}{last}"
    visit = replace(WITH_HELP, link=link)
    for text in (text_of(Occasion.REMINDER, locale, visit), email_of(Occasion.REMINDER, locale, visit)[1]):
        found = re.search(r"https://[\w.]+/[-\w/#]*(?:\b|$)", text, re.ASCII)
        assert found is not None
        assert found[0].partition("#")[0] == link


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("加入{link}{optOut}", "加入 LINK 回复STOP退订。"),
        ("{optOut} {link}。", "回复STOP退订。 LINK 。"),
        ("{optOut} ({link}).", "回复STOP退订。 (LINK)."),
        ("{link}\n{optOut}", "LINK\n回复STOP退订。"),
    ],
)
def test_the_link_in_own_words_stands_apart_from_letters_that_phones_take_for_a_part_of_it(
    words: str, said: str
) -> None:
    kind, locale = MessageKind.LINK, Locale.CHINESE_SIMPLIFIED
    template = MessageTemplate.model_construct(kind=kind, locale=locale, text=words)
    text = text_of(Occasion.LINK, locale, VISIT, [template])
    assert text.replace(LINK, "LINK") == said


def test_a_help_phone_is_named_only_where_there_is_one() -> None:
    assert "Help: +18005550199." in text_of(Occasion.REMINDER, Locale.ENGLISH, WITH_HELP)
    assert "Help" not in text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT)


def own(kind: MessageKind, text: str, locale: Locale = Locale.ENGLISH) -> list[MessageTemplate]:
    return [MessageTemplate(kind=kind, locale=locale, text=text)]


def test_the_organisations_own_words_stand_before_the_built_in_ones() -> None:
    words = own(MessageKind.REMINDER, "{department}: “{time} {timeZone}” {helpPhone}{link} {optOut}")

    assert text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT, words).startswith("Clinic: “Wed, Nov 25 ")
    assert text_of(Occasion.REMINDER, Locale.SPANISH, VISIT, words).startswith("Lamna Healthcare: recordatorio")
    assert text_of(Occasion.LINK, Locale.ENGLISH, VISIT, words).startswith("Lamna Healthcare: video visit")


@pytest.mark.parametrize("locale", [Locale.ENGLISH, Locale.SPANISH])
def test_own_words_in_gsm_7_are_kept_in_it_whatever_the_name_and_the_day(locale: Locale) -> None:
    words = own(MessageKind.REMINDER, "{organization}: {time} {timeZone} {link} {optOut}", locale)
    saturday = replace(VISIT, organization="Clínica Lamna", start=datetime(2026, 11, 28, 23, tzinfo=UTC))
    assert segments(text_of(Occasion.REMINDER, locale, saturday, words)).alphabet is Alphabet.GSM_7


def test_own_words_in_arabic_run_from_right_to_left_with_the_plus_sign_in_front_of_the_number() -> None:
    words = own(MessageKind.HELP, "{organization} {helpPhone} {optOut}", Locale.ARABIC)
    answer = help_answer(Locale.ARABIC, "Lamna", "+18005550199", words)
    assert answer.startswith("\N{RIGHT-TO-LEFT MARK}Lamna \N{LEFT-TO-RIGHT MARK}+18005550199 ")


@pytest.mark.parametrize("text", ["{link}", "{link} {optOut} {patient}", "{time} {link} {optOut}", "{optOut}"])
def test_own_words_that_an_older_crd_took_and_the_newest_refuses_give_way_to_the_built_in_ones(text: str) -> None:
    said = text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT, own(MessageKind.REMINDER, text))
    assert said == text_of(Occasion.REMINDER, Locale.ENGLISH, VISIT)


@pytest.mark.parametrize("locale", Locale)
def test_help_is_answered_with_who_whom_to_call_and_how_to_end(locale: Locale) -> None:
    answer = help_answer(locale, "Lamna Healthcare", "+18005550199")

    assert [word for word in ("Lamna Healthcare", "+18005550199", "STOP") if word not in answer] == []
    assert "{" not in answer
    assert "{" not in help_answer(locale, "Lamna Healthcare", None)


def test_help_is_answered_in_the_organisations_own_words() -> None:
    words = own(MessageKind.HELP, "{organization} {helpPhone} {optOut}")
    assert help_answer(Locale.ENGLISH, "Lamna", "+1", words) == "Lamna +1 Reply STOP to opt out."


def test_an_email_in_the_organisations_own_words_has_its_subject_and_its_text() -> None:
    words = [
        EmailTemplate(
            kind=MessageKind.LINK, locale=Locale.ENGLISH, subject="Visit {time} {timeZone}", text="{department}\n{link}"
        )
    ]
    subject, text = email_of(Occasion.LINK, Locale.ENGLISH, VISIT, words)

    assert (subject[:15], text) == ("Visit Wed, Nov ", f"Clinic\n{LINK}")
    assert email_of(Occasion.BOOKING, Locale.ENGLISH, VISIT, words) == email_of(Occasion.BOOKING, Locale.ENGLISH, VISIT)


SEGMENTS = {
    Locale.ENGLISH: (
        Alphabet.GSM_7,
        {"booking": 2, "change": 2, "cancellation": 1, "reminder": 2, "link": 1, "help": 1},
    ),
    Locale.SPANISH: (
        Alphabet.GSM_7,
        {"booking": 2, "change": 2, "cancellation": 1, "reminder": 2, "link": 2, "help": 1},
    ),
    Locale.CHINESE_SIMPLIFIED: (
        Alphabet.UCS_2,
        {"booking": 3, "change": 3, "cancellation": 2, "reminder": 3, "link": 3, "help": 1},
    ),
    Locale.ARABIC: (
        Alphabet.UCS_2,
        {"booking": 4, "change": 4, "cancellation": 3, "reminder": 4, "link": 4, "help": 2},
    ),
}
"""What each built-in text takes: a change of words that costs a segment more is seen here."""


@pytest.mark.parametrize("locale", Locale)
def test_each_built_in_text_takes_as_many_segments_as_ever(locale: Locale) -> None:
    alphabet, counts = SEGMENTS[locale]
    texts = {occasion.value: text_of(occasion, locale, WITH_HELP) for occasion in Occasion}
    texts["help"] = help_answer(locale, WITH_HELP.organization, WITH_HELP.help_phone)

    assert {name: segments(text).count for name, text in texts.items()} == counts
    assert {segments(text).alphabet for text in texts.values()} == {alphabet}


def test_an_arabic_text_runs_from_right_to_left_though_it_begins_with_a_latin_name() -> None:
    said = [
        *(text_of(occasion, Locale.ARABIC, WITH_HELP) for occasion in Occasion),
        help_answer(Locale.ARABIC, "Lamna", "+18005550199"),
        email_of(Occasion.LINK, Locale.ARABIC, WITH_HELP)[1],
    ]
    assert {text[0] for text in said} == {"\N{RIGHT-TO-LEFT MARK}"}


def test_a_phone_number_in_an_arabic_text_keeps_its_plus_sign_in_front() -> None:
    assert "\N{LEFT-TO-RIGHT MARK}+18005550199" in text_of(Occasion.LINK, Locale.ARABIC, WITH_HELP)


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


@pytest.mark.parametrize("locale", Locale)
def test_each_language_tells_summer_time_from_winter_time(locale: Locale) -> None:
    hour = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    first, second = (text_of(Occasion.LINK, locale, replace(VISIT, start=at)) for at in (hour, hour.replace(hour=7)))
    assert when(locale, hour, VISIT.zone) == when(locale, hour.replace(hour=7), VISIT.zone)  # 1:30, twice that night
    assert first != second


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
