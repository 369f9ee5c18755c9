"""The document that configures the connector: its digest, and where two of them differ."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from unit.api.full_documents import ORGANIZATION_CONFIGURATION, absent, changes, organization_configuration

from ehr_api.control import OrganizationConfiguration, differing_fields

CONFIGURATION = organization_configuration()
CHANGES = dict(changes(CONFIGURATION))


def test_the_configuration_of_these_tests_holds_every_field() -> None:
    """A new field of the contract joins these tests only with a value in `full_documents`."""
    assert list(absent(CONFIGURATION)) == []


def test_equal_documents_have_equal_digests() -> None:
    shuffled: dict[str, Any] = dict(reversed(copy.deepcopy(ORGANIZATION_CONFIGURATION).items()))

    assert OrganizationConfiguration.model_validate(shuffled).digest() == CONFIGURATION.digest()


def test_the_digest_survives_the_way_to_the_connector_and_back() -> None:
    received = OrganizationConfiguration.model_validate_json(json.dumps(CONFIGURATION.to_api()))

    assert received == CONFIGURATION
    assert received.digest() == CONFIGURATION.digest()


def test_a_field_that_is_absent_and_one_that_is_null_have_the_same_digest() -> None:
    without = {key: value for key, value in ORGANIZATION_CONFIGURATION.items() if key != "reports"}
    null = {**ORGANIZATION_CONFIGURATION, "reports": None}

    digests = {OrganizationConfiguration.model_validate(document).digest() for document in (without, null)}
    assert len(digests) == 1


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_of_any_field_changes_the_digest(path: str) -> None:
    changed = OrganizationConfiguration.model_validate(CHANGES[path].to_api())

    assert changed.digest() != organization_configuration().digest()


def test_each_change_has_a_digest_of_its_own() -> None:
    digests = [OrganizationConfiguration.model_validate(changed.to_api()).digest() for changed in CHANGES.values()]

    assert len(set(digests)) == len(CHANGES)


def test_an_endpoint_counts_by_its_place_and_content_not_by_its_object() -> None:
    first, second = CONFIGURATION.endpoints

    swapped = CONFIGURATION.model_copy(update={"endpoints": [second, first]})

    assert swapped.digest() != CONFIGURATION.digest()


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_is_found_by_its_path(path: str) -> None:
    place = path.removesuffix("[]")

    assert differing_fields(CONFIGURATION, CHANGES[path].to_api()) == [place]


def test_equal_documents_differ_nowhere() -> None:
    assert differing_fields(CONFIGURATION, json.loads(json.dumps(CONFIGURATION.to_api()))) == []


def test_fields_that_only_one_side_has_are_found() -> None:
    observed = CONFIGURATION.to_api()
    del observed["visits"]
    observed["ehr"]["vendorOption"] = "x"

    assert differing_fields(CONFIGURATION, observed) == ["ehr.vendorOption", "visits"]


def test_at_most_twenty_differences_are_named_in_order() -> None:
    observed = {**CONFIGURATION.to_api(), **{f"extra{number:02}": number for number in range(30)}}

    assert differing_fields(CONFIGURATION, observed) == [f"extra{number:02}" for number in range(20)]


def test_identifiers_of_entra_are_compared_as_entra_writes_them() -> None:
    written = copy.deepcopy(ORGANIZATION_CONFIGURATION)
    written["microsoft365"] |= {"tenantID": "72F988BF-0000-4000-8000-0000000000FF"}

    read = OrganizationConfiguration.model_validate(written)

    assert read.microsoft365.tenant_id == "72f988bf-0000-4000-8000-0000000000ff"
    assert OrganizationConfiguration.model_validate(read.to_api()).digest() == read.digest()
