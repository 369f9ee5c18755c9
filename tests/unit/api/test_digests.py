"""Equal meaning gives equal digests."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ehr_api.digest import digest_of

EXACT = 2**53 - 1
"""RFC 8785 knows only numbers that a double holds exactly."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-EXACT, EXACT) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        entries: dict[str, Any] = value
        return {key: reversed_keys(entries[key]) for key in reversed(entries)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]  # a list of any


@given(json_values)
def test_the_order_of_keys_does_not_change_a_digest(value: Any) -> None:
    assert digest_of(reversed_keys(value)) == digest_of(value)


@given(json_values)
def test_a_way_through_json_text_does_not_change_a_digest(value: Any) -> None:
    assert digest_of(json.loads(json.dumps(value, indent=2))) == digest_of(value)


@given(st.integers(-EXACT, EXACT))
def test_the_form_of_a_number_does_not_change_a_digest(number: int) -> None:
    assert digest_of({"n": float(number)}) == digest_of({"n": number})


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("100", "1e2"), ("0", "-0.0"), ("0.000001", "1e-6"), ('"\\u00e9"', '"é"'), ('"\\/"', '"/"')],
)
def test_two_ways_to_write_one_value_have_one_digest(one: str, other: str) -> None:
    assert digest_of(json.loads(one)) == digest_of(json.loads(other))


@pytest.mark.parametrize(
    ("one", "other"), [([1, 2], [2, 1]), (None, {}), ({}, []), ("1", 1), (True, 1), ({"a": None}, {}), ("é", "e\u0301")]
)
def test_what_means_something_else_has_another_digest(one: Any, other: Any) -> None:
    assert digest_of(one) != digest_of(other)


def test_a_digest_is_the_sha_256_of_the_canonical_bytes_of_rfc_8785() -> None:
    """The example of RFC 8785, section 3.2.2, and the bytes that section 3.2.4 gives for it."""
    document = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    canonical = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )

    assert digest_of(document) == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def test_what_is_not_json_has_no_digest() -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        digest_of({"time": datetime.now(UTC)})
