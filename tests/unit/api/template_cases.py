"""Templates of messages, good and bad, with the words of the refusal: the API server and the models are held to the same."""

from __future__ import annotations

from dataclasses import dataclass

TEXT, EMAIL = "smsNotifications", "emailNotifications"


@dataclass(frozen=True)
class Case:
    """One template; `words` are those of every fault that it has."""

    name: str
    section: str
    template: dict[str, str]
    words: tuple[str, ...] = ()


def _text(name: str, text: str, *words: str, kind: str = "Reminder", locale: str = "en") -> Case:
    return Case(name, TEXT, {"kind": kind, "locale": locale, "text": text}, words)


def _email(name: str, text: str, *words: str, subject: str = "{organization}", kind: str = "Reminder") -> Case:
    return Case(name, EMAIL, {"kind": kind, "locale": "en", "subject": subject, "text": text}, words)


NO_LINK = "text must hold the placeholder {link}: without it the patient cannot join"
DEAD_LINK = "text must not hold {link} with kind: Cancellation"
UNKNOWN = "may only hold the placeholders {organization}, {department}, {time}, {timeZone}"
NO_ZONE = "must hold {timeZone} beside {time}"
NO_OPT_OUT = "must hold the placeholder {optOut}: the sentence on how to opt out"
TOO_OFTEN = "must hold {link} no more than once, and no more than 12 placeholders"
TOO_DEAR = "must have at most 280 letters when one of them is not of the GSM-7 alphabet"
OF_NO_VISIT = "text may only hold the placeholders {organization}, {helpPhone}, {optOut} with kind: Help"
GSM_7 = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡AZÄÖÑÜ§¿azäöñüà\f^\\[~]|€"
SPECIAL = f"{GSM_7}{'a' * 300} {{link}} {{optOut}}"

CASES = [
    _text("a text with every placeholder",
          "{organization}, {department}: {time} {timeZone} {link} {helpPhone} {optOut}"),
    *[_text(f"a text of the kind {kind}", "{link} {optOut}", kind=kind) for kind in ("Booking", "Change", "Link")],
    *[
        _text(f"a text of the kind {kind} without the link", "{optOut}", NO_LINK, kind=kind)
        for kind in ("Booking", "Change", "Reminder", "Link")
    ],
    _text("a cancellation", "{time} {timeZone} is cancelled. {optOut}", kind="Cancellation"),
    _text("a cancellation with a link", "{link} {optOut}", DEAD_LINK, kind="Cancellation"),
    _text("an answer to HELP", "{organization} {helpPhone} {optOut}", kind="Help"),
    _text("an answer to HELP with a time", "{time} {timeZone} {optOut}", OF_NO_VISIT, kind="Help"),
    _text("an answer to HELP with a department", "{department} {optOut}", OF_NO_VISIT, kind="Help"),
    *[
        _text(f"a text that asks for clinical data: {word}", f"{{{word}}} {{link}} {{optOut}}", UNKNOWN)
        for word in ("patient", "reason", "diagnosis", "practitioner", "visitType", "Time", " link", "")
    ],
    _text("a text with an open brace", "{ {link} {optOut}", UNKNOWN),
    _text("a text with a closing brace", "{link}} {optOut}", UNKNOWN),
    _text("a text with nested braces", "{{link}} {optOut}", UNKNOWN),
    _text("a text without the way to opt out", "{link}", NO_OPT_OUT),
    _text("a text with the way to opt out in other letters", "{link} {optout}", NO_OPT_OUT, UNKNOWN),
    _text("a text without anything", "Hello", NO_OPT_OUT, NO_LINK),
    _text("a text with a time and no zone", "{time} {link} {optOut}", NO_ZONE),
    _text("a text with the link twice", "{link} {link} {optOut}", TOO_OFTEN),
    _text("a text with 12 placeholders", "{link} {optOut}" + "{organization}" * 10),
    _text("a text with 13 placeholders", "{link} {optOut}" + "{organization}" * 11, TOO_OFTEN),
    _text("a long text in letters of GSM-7", SPECIAL),
    _text("a long text with one letter that GSM-7 has not", SPECIAL + "“", TOO_DEAR),
    _text("a long text with a backtick", SPECIAL + "`", TOO_DEAR),
    _text("a long text with an emoji", SPECIAL + "😀", TOO_DEAR),
    _text("280 letters of Chinese", "您" * 266 + "{link}{optOut}", locale="zh-Hans"),
    _text("281 letters of Chinese", "您" * 267 + "{link}{optOut}", TOO_DEAR, locale="zh-Hans"),
    _email("an e-mail with every placeholder",
           "{organization}, {department}: {time} {timeZone}\n{link}\n{helpPhone}",
           subject="{organization}, {department}: {time} {timeZone}"),
    _email("an e-mail without a link", "{organization}", NO_LINK),
    _email("an e-mail of a cancellation", "{time} {timeZone}", kind="Cancellation"),
    _email("an e-mail of a cancellation with a link", "{link}", DEAD_LINK, kind="Cancellation"),
    _email("an e-mail with the word of text messages", "{link} {optOut}", UNKNOWN),
    _email("an e-mail with a time and no zone", "{time} {link}", NO_ZONE),
    _email("an e-mail that answers HELP", "{organization}", "kind must not be Help", kind="Help"),
    _email("a subject with a link", "{link}", UNKNOWN, subject="{link}"),
    _email("a subject with a time and no zone", "{link}", NO_ZONE, subject="{time}"),
    *[
        _email(f"a subject of two lines, {ord(end)}", "{link}", "must be one line", subject=f"Hello{end}Bcc: x@y.example")
        for end in "\r\n"
    ],
]  # fmt: skip
