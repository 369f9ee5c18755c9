"""The real engine builds the stack on the stand-in for Azure, notices changes, and takes it down again."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra import declared, policies
from infra.declared import Action, Fault

from ehr_infra.config import PROJECT
from ehr_sandbox.pulumi_provider.resource_ids import resource_id
from ehr_sandbox.pulumi_provider.world import Recorded, World

Act = Callable[..., dict[str, Any]]


def _config(folder: Path, **changes: Any) -> Path:
    file = folder / "stack.yaml"
    file.write_text(yaml.safe_dump({"config": declared.values_of("dev", **changes)}))
    return file


@pytest.fixture
def act(tmp_path: Path, pulumi_process: ProcessPoolExecutor) -> Act:
    """Let the engine act in an empty folder, or a copy of another."""

    def acting(action: Action, fault: Fault = "none", folder: Path = tmp_path, **changes: Any) -> dict[str, Any]:
        config = _config(folder, **changes)
        return pulumi_process.submit(declared.act, folder, "dev", config, action, fault).result()

    return acting


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, pulumi_process: ProcessPoolExecutor) -> tuple[Path, dict[str, Any]]:
    """A folder in which a stack was built once, and what the engine said; tests work on copies."""
    folder = tmp_path_factory.mktemp("built")
    config = _config(folder)
    return folder, pulumi_process.submit(declared.act, folder, "dev", config, "up").result()


@pytest.fixture
def stack(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A stack that was built, to be changed."""
    return Path(shutil.copytree(built[0], tmp_path / "stack"))


def test_a_preview_tells_what_would_be_built_and_builds_nothing(act: Act, tmp_path: Path, dev: Any) -> None:
    summary = act("preview")

    assert summary.keys() == {"create"}
    assert summary["create"] > len(dev)
    assert World(tmp_path / "azure.json").read() == {}


def test_up_builds_what_was_declared_and_it_keeps_to_every_policy(
    built: tuple[Path, dict[str, Any]], dev: dict[str, Any]
) -> None:
    recorded = World(built[0] / "azure.json").read()

    assert recorded.keys() == {resource_id(found.token, found.inputs) for found in dev.values()}
    assert [finding for policy in policies.ALL for finding in policy(recorded)] == []


def test_a_second_preview_finds_nothing_to_do(act: Act, stack: Path) -> None:
    assert act("preview", folder=stack).keys() == {"same"}


def test_a_change_of_the_configuration_changes_that_and_no_more(act: Act, stack: Path) -> None:
    summary = act("up", folder=stack, logRetentionDays=60)

    assert summary["update"] == 1
    assert summary.keys() == {"update", "same", "outputs"}
    recorded = World(stack / "azure.json").read()
    assert [inputs["retentionInDays"] for _, inputs in policies.of(recorded, "operationalinsights:Workspace")] == [60]


def test_a_change_behind_its_back_is_found_by_a_refresh_and_undone_by_an_up(act: Act, stack: Path) -> None:
    world = World(stack / "azure.json")
    with world.changed() as resources:
        key, found = next((key, found) for key, found in resources.items() if found.token.endswith(":StorageAccount"))
        resources[key] = replace(found, inputs={**found.inputs, "allowSharedKeyAccess": True})

    refreshed = act("refresh", folder=stack)
    mended = act("up", folder=stack)

    assert (refreshed["update"], mended["update"]) == (1, 1)
    assert world.read()[key].inputs["allowSharedKeyAccess"] is False


def test_a_resource_deleted_behind_its_back_is_built_again(act: Act, stack: Path) -> None:
    world = World(stack / "azure.json")
    with world.changed() as resources:
        key = next(key for key, found in resources.items() if found.token.endswith(":RoleAssignment"))
        del resources[key]

    refreshed = act("refresh", folder=stack)
    mended = act("up", folder=stack)

    assert (refreshed["delete"], mended["create"]) == (1, 1)
    assert key in world.read()


def test_a_failover_of_the_database_is_not_undone(act: Act, stack: Path) -> None:
    with World(stack / "azure.json").changed() as resources:
        key, found = next((key, found) for key, found in resources.items() if found.token.endswith("postgresql:Server"))
        resources[key] = replace(found, inputs={**found.inputs, "availabilityZone": "3"})

    act("refresh", folder=stack)

    assert act("preview", folder=stack).keys() == {"same"}


def test_destroy_leaves_nothing(act: Act, stack: Path) -> None:
    act("destroy", folder=stack)

    assert World(stack / "azure.json").read() == {}


def test_a_destroy_takes_no_data_and_no_numbers_of_a_protected_stack(act: Act, stack: Path) -> None:
    act("up", folder=stack, protect=True)

    with pytest.raises(RuntimeError, match="protect"):
        act("destroy", folder=stack, protect=True)

    left = {found.token.removeprefix("azure-native:") for found in World(stack / "azure.json").read().values()}
    assert left >= {
        "authorization:ManagementLockByScope",
        "communication:CommunicationService",
        "dbforpostgresql:Database",
        "dbforpostgresql:Server",
        "keyvault:Vault",
        "network:PublicIPAddress",
        "operationalinsights:Workspace",
        "storage:StorageAccount",
    }


def test_another_data_location_which_would_lose_the_numbers_is_refused(act: Act, stack: Path) -> None:
    act("up", folder=stack, protect=True)

    with pytest.raises(RuntimeError, match="protect"):
        act("preview", folder=stack, protect=True, dataLocation="Canada")


def test_a_resource_that_is_there_already_is_not_taken_over(act: Act, tmp_path: Path, dev: dict[str, Recorded]) -> None:
    with World(tmp_path / "azure.json").changed() as resources:
        for name in ("resource-group", "vault"):
            resources[resource_id(dev[name].token, dev[name].inputs)] = dev[name]

    with pytest.raises(RuntimeError, match="already existing resource"):
        act("up")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("misspelt", "minimum_tls_versoin is not known"),
        ("missing", "sku is required"),
        ("elsewhere", "'vault' has the location 'westeurope', outside the geography 'Americas'"),
    ],
)
def test_a_mistake_in_the_program_fails_the_preview(act: Act, fault: Fault, message: str) -> None:
    with pytest.raises(RuntimeError) as failed:
        act("preview", fault)

    assert message in str(failed.value)


def test_a_public_database_is_found_among_what_was_built(act: Act, stack: Path) -> None:
    act("up", "public", folder=stack)

    assert len(list(policies.no_database_is_public(World(stack / "azure.json").read()))) == 1


def test_the_state_holds_no_secret_that_can_be_read(pulumi_process: ProcessPoolExecutor, stack: Path) -> None:
    token = "of-a-robot-that-reads-git"

    pulumi_process.submit(declared.act, stack, "dev", _config(stack), "up", "none", token).result()

    encoded = base64.b64encode(token.encode())
    flux = [
        inputs
        for _, inputs in policies.of(World(stack / "azure.json").read(), "kubernetesconfiguration:FluxConfiguration")
    ]
    assert flux[0]["configurationProtectedSettings"] == {"httpsKey": encoded.decode()}
    kept = b"".join(file.read_bytes() for file in (stack / "state").rglob("*") if file.is_file())
    assert kept
    assert token.encode() not in kept
    assert encoded not in kept


def test_make_preview_shows_the_stack_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ehr_sandbox.pulumi_engine", "Pulumi.production.yaml.example"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    shown = subprocess.run(
        command, cwd=declared.REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )

    assert shown.returncode == 0, shown.stderr
    assert "azure-native:dbforpostgresql:Server database-server create" in shown.stdout
    assert "Nothing was built." in shown.stdout
    assert list(tmp_path.glob("ehr-preview-*")) == []


def test_make_preview_shows_every_property_of_a_stack_whose_secrets_it_cannot_read(tmp_path: Path) -> None:
    """As `pulumi stack init` and `pulumi config set --secret` leave the file."""
    stack_file = tmp_path / "Pulumi.dev.yaml"
    secret = {"secure": "v1:aaaaaaaaaaaaaaaa:bm90IHRvIGJlIHJlYWQ="}
    stack_file.write_text(
        yaml.safe_dump({"encryptionsalt": "v1:not ours", "config": declared.values_of("dev", gitToken=secret)})
    )

    shown = subprocess.run(
        [sys.executable, "-m", "ehr_sandbox.pulumi_engine", stack_file, "--diff"],
        cwd=declared.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert re.search(r'passwordAuth *: "Disabled"', shown.stdout)
    assert re.search(r'registryName *: "ehrdevacr', shown.stdout)
    assert re.search(r"httpsKey *: \[secret\]", shown.stdout)


def test_make_preview_fails_with_the_reason(tmp_path: Path) -> None:
    stack_file = tmp_path / "Pulumi.dev.yaml"
    stack_file.write_text(yaml.safe_dump({"config": declared.values_of("dev", domain=None)}))

    shown = subprocess.run(
        [sys.executable, "-m", "ehr_sandbox.pulumi_engine", stack_file],
        cwd=declared.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.returncode == 1
    assert f"`{PROJECT}:domain` must be set" in shown.stdout


def test_a_stack_without_an_image_is_refused_by_the_name_of_the_key(act: Act) -> None:
    with pytest.raises(RuntimeError) as failed:
        act("preview", operatorImage=None)

    assert f"`{PROJECT}:operatorImage` must be set" in str(failed.value)
    assert "Traceback" not in str(failed.value)
