"""How many segments a text takes, which is what a carrier charges for. Pure.

Source: 3GPP TS 23.040 section 9.2.3.24 (parts of a long text).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from ehr_api.gsm7 import BASIC, EXTENDED, is_gsm_7

_PLAIN = {
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{HORIZONTAL ELLIPSIS}": "...",
}


class Alphabet(StrEnum):
    """How a text travels."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Segments:
    """The size of a text."""

    alphabet: Alphabet
    count: int


_ROOM = {Alphabet.GSM_7: (160, 153), Alphabet.UCS_2: (70, 67)}
"""What fits into a text that is one segment, and into each part of a longer one."""


def segments(text: str) -> Segments:
    """Return the size of a text. One letter outside GSM-7 more than halves what fits."""
    alphabet = Alphabet.GSM_7 if is_gsm_7(text) else Alphabet.UCS_2
    whole, part = _ROOM[alphabet]
    sizes = [_size(letter, alphabet) for letter in text]
    if sum(sizes) <= whole:
        return Segments(alphabet, 1)
    count, left = 1, part
    for size in sizes:  # a letter of two places is not cut in two
        if size > left:
            count, left = count + 1, part
        left -= size
    return Segments(alphabet, count)


def thrifty(text: str) -> str:
    """Return the text in GSM-7 where that changes no more than accents and typographic marks; or as it is."""
    plain = "".join(_PLAIN.get(letter, letter) for letter in text)
    folded = "".join(letter if letter in BASIC or letter in EXTENDED else _without_accent(letter) for letter in plain)
    return folded if segments(folded).alphabet is Alphabet.GSM_7 else plain


def _size(letter: str, alphabet: Alphabet) -> int:
    if alphabet is Alphabet.GSM_7:
        return 2 if letter in EXTENDED else 1
    return len(letter.encode("utf-16-be")) // 2


def _without_accent(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", letter) if not unicodedata.combining(part))
