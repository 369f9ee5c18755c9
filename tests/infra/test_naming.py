"""Names are the same on every run and within Azure's rules, whatever a stack is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ehr_infra.naming import Names

TENANT = "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f"

prefixes = st.from_regex(r"[a-z][a-z0-9]{1,3}", fullmatch=True)
stacks = st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True)


@given(prefixes, stacks)
def test_every_name_is_within_azures_rules(prefix: str, stack: str) -> None:
    names = Names(prefix, stack, TENANT)

    assert len(names.unique_plain("storage account", "ev")) <= 24
    assert len(names.unique_plain("vault", "kv")) <= 24
    assert names.unique_plain("registry", "acr").isalnum()
    assert names.unique("database server", "pg") == names.unique("database server", "pg").lower()
    assert len(names.unique("communication", "acs")) <= 63
    assert len(names.of("event grid", "acs-events")) <= 50


def test_names_are_the_same_on_every_run() -> None:
    names = Names("ehr", "dev", TENANT)

    assert names.unique_plain("vault", "kv") == "ehrdevkv926d5b"
    assert names.id("role", "communication") == names.id("role", "communication")


def test_stacks_of_two_tenants_do_not_claim_the_same_name() -> None:
    other = Names("ehr", "dev", TENANT.replace("7", "8"))

    assert other.unique_plain("vault", "kv") != Names("ehr", "dev", TENANT).unique_plain("vault", "kv")
