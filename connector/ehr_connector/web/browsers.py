"""Whether a browser can take part in a visit, told from its User-Agent alone. Pure.

Teams lets people join from Chrome on every system, Safari on Apple's, and Edge, each in its newest version and the two
before. Who is told wrongly that the browser will not do loses a visit; who is told nothing sees Teams say so: when in
doubt, a browser passes. The versions are those of the day in `_AS_OF`; they age towards lenience.
"""

from __future__ import annotations

import re
from enum import StrEnum

_AS_OF = "2026-11"
_OLDEST_CHROMIUM = 154
_OLDEST_SAFARI = 18
"""Safari went from 18 to 26 when Apple began to number by the year."""

_DIGITS = 9
"""Of a version that are read."""

_CHROMIUM = re.compile(r"\b(?:Chrome|Chromium|HeadlessChrome)/(\d+)")
_SAFARI = re.compile(r"\bVersion/(\d+)[\d.]* (?:Mobile/\w+ )?Safari/")
_IOS = re.compile(r"\b(?:iPhone|iPad|iPod)\b.*?\bOS (\d+)_")
_OTHERS = re.compile(
    r"\b(?:Firefox|FxiOS|SamsungBrowser|OPR|OPiOS|OPT|UCBrowser|YaBrowser|Trident|MSIE)\b|\bEdge/1[0-9]\."
)
"""Browsers with a name of their own that Teams does not support, and Edge before it was built on Chromium."""
_INSIDE_AN_APP = re.compile(
    r"\b(?:FBAN|FBAV|FB_IAB|Instagram|Line|MicroMessenger|musical_ly|BytedanceWebview|Snapchat)\b"
)
"""Browsers inside other apps: most are not allowed to use the camera."""


class Verdict(StrEnum):
    """What the page does about a browser."""

    SUPPORTED = "supported"
    """It goes on; also when unsure."""
    TOO_OLD = "too_old"
    """The right browser, to be updated."""
    OTHER = "other"
    """Not a browser that Teams supports."""
    INSIDE_AN_APP = "inside_an_app"
    """The link is to be opened in the device's own browser."""


def judge(user_agent: str | None) -> Verdict:
    """Return whether the browser with this User-Agent can take part in a visit."""
    told = user_agent or ""
    if _INSIDE_AN_APP.search(told):
        return Verdict.INSIDE_AN_APP
    if _OTHERS.search(told):
        return Verdict.OTHER
    if ios := _IOS.search(told):
        # Every browser of iOS is Safari underneath. Since iOS 26 the system's version in the User-Agent stands still at 18.
        return _old_enough(ios.group(1), _OLDEST_SAFARI)
    if chromium := _CHROMIUM.search(told):
        return _old_enough(chromium.group(1), _OLDEST_CHROMIUM)
    if safari := _SAFARI.search(told):
        return _old_enough(safari.group(1), _OLDEST_SAFARI)
    return Verdict.SUPPORTED


def _old_enough(version: str, oldest: int) -> Verdict:
    return Verdict.SUPPORTED if int(version[:_DIGITS]) >= oldest else Verdict.TOO_OLD
