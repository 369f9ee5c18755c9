"""The alphabet of text messages: a text that keeps to it has room for more than twice as many letters.

Source: 3GPP TS 23.038 section 6.2.1.
"""

from __future__ import annotations

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Letters that take an escape and so two places."""


def is_gsm_7(text: str) -> bool:
    """Return whether a text keeps to the alphabet."""
    return all(letter in BASIC or letter in EXTENDED for letter in text)


def pattern() -> str:
    """Return the regular expression (RE2) of a text that keeps to the alphabet, written in ASCII."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, BASIC | EXTENDED)):
        if ranges and ranges[-1][-1] == code - 1:
            ranges[-1][-1] = code
        else:
            ranges.append([code, code])
    spelled = "".join(
        _spelled(first) if first == last else f"{_spelled(first)}-{_spelled(last)}" for first, last in ranges
    )
    return f"^[{spelled}]*$"


def _spelled(code: int) -> str:
    return rf"\x{{{code:X}}}"
