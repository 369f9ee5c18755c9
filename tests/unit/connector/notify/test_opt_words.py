"""What a text asks for, in any case, spelling and language of the texts."""

# ruff: noqa: RUF001  # Letters that look like others are what is tested.

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_api.v1alpha1.message_templates import Locale
from ehr_connector.notify.answers.opt_words import Asked, Wish, asked

LEGAL = (
    "STOP",
    "QUIT",
    "END",
    "REVOKE",
    "OPT OUT",
    "CANCEL",
    "UNSUBSCRIBE",
    "STOPALL",
    "OPTOUT",
    "STOP ALL",
    "OPT-OUT",
)


@pytest.mark.parametrize("word", LEGAL)
def test_every_word_that_the_law_names_stops(word: str) -> None:
    for form in (
        word,
        word.lower(),
        word.title(),
        f" {word}. ",
        f"“{word}”!",
        f"\u200f{word}\u200e",
        f"{word}\n",
        f"{word} 🙏",
    ):
        assert asked(form) == Asked(Wish.STOP, Locale.ENGLISH), form


@given(
    word=st.sampled_from(LEGAL),
    before=st.text(string.whitespace + string.punctuation, max_size=5),
    after=st.text(string.whitespace + string.punctuation + "…¡¿。،！", max_size=5),
    upper=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_case_and_punctuation_change_nothing(word: str, before: str, after: str, upper: list[bool]) -> None:
    mixed = "".join(one.upper() if big else one.lower() for one, big in zip(word, upper, strict=False))
    assert asked(before + mixed + after) == Asked(Wish.STOP, Locale.ENGLISH)


@pytest.mark.parametrize(
    ("text", "wish", "locale"),
    [
        ("alto", Wish.STOP, Locale.SPANISH),
        ("¡PARAR!", Wish.STOP, Locale.SPANISH),
        ("Dar de baja", Wish.STOP, Locale.SPANISH),
        ("Por favor no me envíen más mensajes", Wish.STOP, Locale.SPANISH),
        ("退订", Wish.STOP, Locale.CHINESE_SIMPLIFIED),
        ("退訂。", Wish.STOP, Locale.CHINESE_SIMPLIFIED),
        ("TD", Wish.STOP, Locale.CHINESE_SIMPLIFIED),
        ("请不要再发了", Wish.STOP, Locale.CHINESE_SIMPLIFIED),
        ("توقف", Wish.STOP, Locale.ARABIC),
        ("إلغاء الاشتراك", Wish.STOP, Locale.ARABIC),
        ("الغاء الاشتراك", Wish.STOP, Locale.ARABIC),
        ("تَوَقَّف", Wish.STOP, Locale.ARABIC),
        ("تـوقـف", Wish.STOP, Locale.ARABIC),
        ("من فضلك أوقف الرسائل", Wish.STOP, Locale.ARABIC),
        ("ＳＴＯＰ", Wish.STOP, Locale.ENGLISH),
        ("Please stop", Wish.STOP, Locale.ENGLISH),
        ("stop it, I am at work", Wish.STOP, Locale.ENGLISH),
        ("You have the wrong number", Wish.STOP, Locale.ENGLISH),
        ("don’t text me any more", Wish.STOP, Locale.ENGLISH),
        ("No more text messages!", Wish.STOP, Locale.ENGLISH),
        ("Remove me, please", Wish.STOP, Locale.ENGLISH),
        ("I want to opt-out", Wish.STOP, Locale.ENGLISH),
        ("ولا ترسلوا شيئا", Wish.STOP, Locale.ARABIC),
        ("help me unsubscribe", Wish.STOP, Locale.ENGLISH),
        ("START", Wish.START, Locale.ENGLISH),
        ("unstop", Wish.START, Locale.ENGLISH),
        ("alta", Wish.START, Locale.SPANISH),
        ("开始", Wish.START, Locale.CHINESE_SIMPLIFIED),
        ("ابدأ", Wish.START, Locale.ARABIC),
        ("Help", Wish.HELP, Locale.ENGLISH),
        ("INFO?", Wish.HELP, Locale.ENGLISH),
        ("Please help, the link does not open", Wish.HELP, Locale.ENGLISH),
        ("Ayúdame a entrar", Wish.HELP, Locale.SPANISH),
        ("ayuda", Wish.HELP, Locale.SPANISH),
        ("información", Wish.HELP, Locale.SPANISH),
        ("帮助", Wish.HELP, Locale.CHINESE_SIMPLIFIED),
        ("مساعدة", Wish.HELP, Locale.ARABIC),
    ],
)
def test_each_language_has_its_words(text: str, wish: Wish, locale: Locale) -> None:
    assert asked(text) == Asked(wish, locale)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "👍",
        "Yes",
        "Sí",
        "Thank you",
        "Can I cancel my appointment on Friday?",
        "I cannot find the bus stop",
        "We start at nine?",
        "The help desk does not answer",
        "The weekend is fine",
        "Should I remove medication patches before?",
        "Can you take me offline?",
        "我会来的",
        "شكرا",
    ],
)
def test_what_is_none_of_the_words_asks_for_nothing(text: str) -> None:
    assert asked(text) is None


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    assert asked(text) is None or isinstance(asked(text), Asked)
