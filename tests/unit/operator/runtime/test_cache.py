"""The cache of bodies: the newest wins, and the indexes follow."""

from __future__ import annotations

from typing import Any

import pytest

from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.model import Key

A, B = Key("Widget", "lamna", "a"), Key("Widget", "lamna", "b")
BY_REF = "spec.ref.name"


@pytest.fixture
def cache() -> Cache:
    return Cache({"Widget": (BY_REF,), "Gadget": ()})


def body(version: int, ref: str | None = None) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "spec": {} if ref is None else {"ref": {"name": ref}}}


def test_a_newer_body_replaces_an_older_one(cache: Cache) -> None:
    assert cache.put(A, body(9))
    assert cache.put(A, body(10))

    assert cache.get(A) == body(10)


@pytest.mark.parametrize("version", [9, 10])
def test_a_body_that_is_not_newer_is_not_kept(cache: Cache, version: int) -> None:
    cache.put(A, body(10, "kept"))

    assert not cache.put(A, body(version, "late"))

    assert cache.get(A) == body(10, "kept")
    assert cache.find("Widget", "lamna", BY_REF, "late") == []


def test_bodies_are_found_by_an_indexed_field_in_the_order_of_their_names(cache: Cache) -> None:
    cache.put(B, body(1, "x"))
    cache.put(A, body(2, "x"))
    cache.put(Key("Widget", "lamna", "c"), body(3, "y"))

    assert cache.find("Widget", "lamna", BY_REF, "x") == [body(2, "x"), body(1, "x")]


def test_bodies_of_another_namespace_are_not_found(cache: Cache) -> None:
    cache.put(Key("Widget", "other", "a"), body(1, "x"))

    assert cache.find("Widget", "lamna", BY_REF, "x") == []


def test_an_index_follows_a_changed_field(cache: Cache) -> None:
    cache.put(A, body(1, "x"))
    cache.put(A, body(2, "y"))

    assert cache.find("Widget", "lamna", BY_REF, "x") == []
    assert cache.find("Widget", "lamna", BY_REF, "y") == [body(2, "y")]


def test_a_body_without_the_indexed_field_is_found_by_no_value(cache: Cache) -> None:
    cache.put(A, body(1, "x"))
    cache.put(A, body(2))

    assert cache.find("Widget", "lamna", BY_REF, "x") == []
    assert cache.find("Widget", "lamna", BY_REF, "None") == []
    assert cache.drop(A) == body(2)


def test_a_dropped_body_leaves_the_indexes(cache: Cache) -> None:
    cache.put(A, body(1, "x"))

    assert cache.drop(A) == body(1, "x")

    assert cache.get(A) is None
    assert cache.keys("Widget") == set()
    assert cache.find("Widget", "lamna", BY_REF, "x") == []


def test_a_body_newer_than_its_deletion_stays(cache: Cache) -> None:
    cache.put(A, body(11))

    assert cache.drop(A, version=10) is None
    assert cache.get(A) == body(11)
    assert cache.drop(A, version=11) == body(11)


def test_dropping_what_is_not_known_changes_nothing(cache: Cache) -> None:
    assert cache.drop(A) is None
    assert cache.drop(A, version=5) is None


def test_a_list_is_sorted_by_namespace_and_name_and_may_span_namespaces(cache: Cache) -> None:
    elsewhere = Key("Widget", "abc", "z")
    for version, key in enumerate((B, elsewhere, A), start=1):
        cache.put(key, body(version))

    assert cache.list("Widget", "lamna") == [body(3), body(1)]
    assert cache.list("Widget", "") == [body(2), body(3), body(1)]
    assert cache.list("Gadget", "") == []
