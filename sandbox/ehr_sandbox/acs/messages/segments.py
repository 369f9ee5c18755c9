"""How many segments a text takes: what a carrier charges for.

Source: 3GPP TS 23.038 (alphabet) and 23.040 (concatenation).
"""

from __future__ import annotations

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_SEPTETS, _SEPTETS_OF_A_PART = 160, 153
_UNITS, _UNITS_OF_A_PART = 70, 67


def segments_of(text: str) -> int:
    """Return the number of segments of a text, at least one."""
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        sizes, single, part = [2 if letter in _EXTENDED else 1 for letter in text], _SEPTETS, _SEPTETS_OF_A_PART
    else:
        # A letter beyond the basic plane takes two units of UTF-16.
        sizes, single, part = [len(letter.encode("utf-16-be")) // 2 for letter in text], _UNITS, _UNITS_OF_A_PART
    if sum(sizes) <= single:
        return 1
    parts, room = 1, part
    for size in sizes:  # a letter of two is never cut
        if size > room:
            parts, room = parts + 1, part
        room -= size
    return parts
