"""Chance that repeats itself: the same words give the same numbers on every machine."""

from __future__ import annotations

import random


def dice(*words: object) -> random.Random:
    """Return a generator that depends on nothing but the words."""
    return random.Random("|".join(str(word) for word in words))  # noqa: S311 (made-up data, nothing secret)
