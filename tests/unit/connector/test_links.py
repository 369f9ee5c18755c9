"""Join links: short, opaque, the same for the same visit, bound to endpoint, appointment and role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_connector.keys.secret import SecretKeys, new_secret_key
from ehr_connector.visits.links import JoinLink, LinkError, Links, Role

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
TAG = bytes(range(8))
LINK = JoinLink(TAG, "21812388", Role.PATIENT)


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Links:
    folder = tmp_path_factory.mktemp("keys")
    new_secret_key(folder, NOON - timedelta(days=1))
    return Links(SecretKeys(folder, lambda: NOON))


def test_a_link_leaves_room_for_a_text_in_one_segment(links: Links) -> None:
    assert len(links.url("https://visits.lamna.example", LINK)) <= 85


def test_a_link_fits_the_ehr_even_with_long_names(links: Links) -> None:
    assert len(links.url("https://" + "a" * 60 + ".example", JoinLink(TAG, "a" * 64, Role.PATIENT))) <= 255


def test_the_same_visit_has_the_same_link(links: Links) -> None:
    assert links.token(LINK) == links.token(LINK)


def test_nothing_of_the_appointment_shows(links: Links) -> None:
    assert "21812388" not in links.token(LINK)
    shared = sum(
        one == other
        for one, other in zip(links.token(LINK), links.token(JoinLink(TAG, "21812389", Role.PATIENT)), strict=True)
    )
    assert shared < len(links.token(LINK)) / 3


@given(
    appointment=st.from_regex(r"\A[A-Za-z0-9.-]{1,64}\Z"),
    role=st.sampled_from(Role),
    number=st.integers(0, 255),
    tag=st.binary(min_size=8, max_size=8),
)
def test_a_link_says_what_it_was_made_for(links: Links, appointment: str, role: Role, number: int, tag: bytes) -> None:
    link = JoinLink(tag, appointment, role, number)
    assert links.read(links.token(link)) == link


def test_role_endpoint_appointment_and_number_each_make_another_link(links: Links) -> None:
    other = [
        LINK,
        JoinLink(TAG, "21812388", Role.PROVIDER),
        JoinLink(TAG, "21812388", Role.GUEST, 1),
        JoinLink(TAG, "21812388", Role.GUEST, 2),
        JoinLink(bytes(8), "21812388", Role.PATIENT),
        JoinLink(TAG, "21812389", Role.PATIENT),
    ]
    tokens = sorted(links.token(link) for link in other)
    assert all(one != following for one, following in pairwise(tokens))


@given(text=st.text(max_size=120))
def test_no_other_text_is_a_link(links: Links, text: str) -> None:
    with pytest.raises(LinkError):
        links.read(text)
