"""Durations as the CRDs accept them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_api import duration

accepted_by_the_crd = st.from_regex(r"\A([0-9]+(h|m|s|ms))+\Z").filter(lambda text: len(text) <= 32)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("45s", 45), ("500ms", 0.5), ("1m500ms", 60.5), ("0s", 0), ("90m", 5400)],
)
def test_a_duration_has_its_length_in_seconds(text: str, seconds: float) -> None:
    assert duration.seconds(text) == pytest.approx(seconds)


@given(accepted_by_the_crd)
def test_every_duration_that_the_crds_accept_has_a_length(text: str) -> None:
    assert duration.seconds(text) >= 0


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "1.5h", "1 h", " 1h", "1h\n", "1d", "1H", "one hour", "1h-5m", "٣h"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write for example 24h, 1h30m or 500ms"):
        duration.seconds(text)
