"""What a patient's text asks for: no more texts, texts again, or help; and in which language. Pure.

Who wants no texts may say so by any reasonable means (47 CFR 64.1200(a)(10)), so a wish to stop is taken from more than the one
word, and when in doubt it counts. Consent comes back by a word of its own alone: YES may answer something else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ehr_api.v1alpha1.message_templates import Locale


class Wish(StrEnum):
    """What a patient wants."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a text asks for."""

    wish: Wish
    locale: Locale


LONGEST = 200
"""Characters of a text that are looked at; the wish stands at its beginning."""

_WORDS: Mapping[Wish, Mapping[Locale, str]] = {
    Wish.STOP: {
        # The seven of 47 CFR 64.1200(a)(10), and STOPALL of the CTIA.
        Locale.ENGLISH: "stop, stopall, quit, end, revoke, opt out, cancel, unsubscribe, stop please, remove",
        Locale.SPANISH: "alto, parar, pare, para, basta, baja, dar de baja, darme de baja, deme de baja, cancelar, cancele,"
        " cancela, detener, detenga, detente, terminar, termina, salir, revocar, anular suscripcion, cancelar suscripcion,"
        " no mas",
        Locale.CHINESE_SIMPLIFIED: "停, 停止, 停止接收, 停止发送, 停止發送, 退订, 退訂, 取消, 取消订阅, 取消訂閱, 拒收, 结束, 結束, 终止, 終止,"
        " 撤回, 不要, td",
        Locale.ARABIC: "توقف, توقفوا, أوقف, أوقفوا, إيقاف, وقف, قف, إلغاء, إلغاء الاشتراك, ألغ, إنهاء, خروج, كفى, ستوب",
    },
    Wish.START: {
        Locale.ENGLISH: "start, unstop, resume, subscribe, resubscribe, opt in",
        Locale.SPANISH: "empezar, iniciar, comenzar, reanudar, alta, dar de alta, suscribir",
        Locale.CHINESE_SIMPLIFIED: "开始, 開始, 恢复, 恢復, 订阅, 訂閱, 重新订阅, 重新訂閱",
        Locale.ARABIC: "ابدأ, بدء, استئناف, اشتراك",
    },
    Wish.HELP: {
        Locale.ENGLISH: "help, help me, info",
        Locale.SPANISH: "ayuda, auxilio, informacion",
        Locale.CHINESE_SIMPLIFIED: "帮助, 幫助, 求助",
        Locale.ARABIC: "مساعدة, المساعدة, ساعدني, ساعدوني",
    },
}
"""A whole text that is one of these, whatever its case, accents, spaces and punctuation."""

_BEGINNINGS: Mapping[Locale, frozenset[str]] = {
    Locale.ENGLISH: frozenset({"stop", "stopall", "unsubscribe", "revoke"}),
    Locale.SPANISH: frozenset({"alto", "parar", "pare", "basta"}),
    Locale.ARABIC: frozenset({"توقف", "اوقف", "اوقفوا", "ايقاف"}),
}
"""A text that begins with one of these asks to stop, whatever follows."""

_CALLS: Mapping[Locale, frozenset[str]] = {
    Locale.ENGLISH: frozenset({"help"}),
    Locale.SPANISH: frozenset({"ayuda", "ayudame", "ayudenme"}),
    Locale.ARABIC: frozenset({"مساعدة", "ساعدني", "ساعدوني"}),
}
"""A text that begins with one of these, and asks for no end, asks for help."""

_COURTESY = frozenset(
    {"please", "pls", "plz", "por", "favor", "hi", "hello", "hola", "من", "فضلك", "لو", "سمحت", "رجاء"}
)

_PHRASES: Mapping[Locale, str] = {
    Locale.ENGLISH: "stop texting, stop sending, stop messaging, stop contacting, stop these, do not text, don't text,"
    " do not contact, don't contact, do not message, don't message, do not send me, don't send me, quit texting,"
    " quit sending, no more text, no more texts, no more messages, no more sms, remove me,"
    " take me off, opt out, optout, opt me out, unsubscribe, leave me alone, wrong number",
    Locale.SPANISH: "no me manden, no me mande, no me envien, no me envie, no me escriban, no mas mensajes, no mas textos,"
    " dejen de, deje de enviar, darme de baja, numero equivocado",
    Locale.CHINESE_SIMPLIFIED: "不要再发, 不要再發, 别再发, 別再發, 不要发短信, 不要發短信, 停止发送, 停止發送, 退订, 退訂, 取消订阅, 取消訂閱, 打错",
    Locale.ARABIC: "لا ترسل, لا تراسل, إلغاء الاشتراك, توقفوا عن, توقف عن, رقم خطأ",
}
"""A text that holds one of these asks to stop."""
_WRITE_WORDS_APART = frozenset({Locale.ENGLISH, Locale.SPANISH})
"""In these a phrase begins and ends with its words: "remove me" is not in "remove medication"."""


def asked(text: str) -> Asked | None:
    """Return what a text asks for, or None."""
    words = _plain_words(text[:LONGEST])
    whole = "".join(words)
    exact = _EXACT.get(whole) or _EXACT.get("".join(one for one in words if one not in _COURTESY))
    if exact is not None:
        return exact
    first = next((one for one in words if one not in _COURTESY), "")
    apart = f" {' '.join(words)} "
    for locale in Locale:
        held_in = apart if locale in _WRITE_WORDS_APART else whole
        if first in _BEGINNINGS.get(locale, ()) or any(phrase in held_in for phrase in _HELD[locale]):
            return Asked(Wish.STOP, locale)
    return next((Asked(Wish.HELP, locale) for locale, calls in _CALLS.items() if first in calls), None)


def _plain_words(text: str) -> list[str]:
    """Return the words without case, accents, vowel marks, punctuation and invisible signs."""
    parts = unicodedata.normalize(
        "NFKD", text.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    ).casefold()
    # Marks (M) go with what they stand on, and so do signs of direction (Cf) and the line that stretches Arabic words.
    kept = "".join(
        letter for letter in parts if unicodedata.category(letter)[0] != "M" and unicodedata.category(letter) != "Cf"
    ).replace("\N{ARABIC TATWEEL}", "")
    return re.findall(r"[^\W_]+", kept)


def _spelled(words: str) -> Iterable[str]:
    return ("".join(_plain_words(one)) for one in words.split(","))


_EXACT: Mapping[str, Asked] = {
    word: Asked(wish, locale)
    for wish in (Wish.HELP, Wish.START, Wish.STOP)
    for locale, words in _WORDS[wish].items()
    for word in _spelled(words)
}
_HELD: Mapping[Locale, frozenset[str]] = {
    locale: frozenset(
        f" {' '.join(_plain_words(phrase))} " if locale in _WRITE_WORDS_APART else "".join(_plain_words(phrase))
        for phrase in phrases.split(",")
    )
    for locale, phrases in _PHRASES.items()
}
