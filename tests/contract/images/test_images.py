"""What deploy/Containerfile builds: played without a container engine, and read by a linter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import trustme
from contract.images.containerfile import CONTAINERFILE, REPOSITORY, environment, inside, last, play, stages
from contract.images.tls_database import tls_database
from packaging.requirements import Requirement

TARGETS = ("operator", "connector")
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
_INSTALLED = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"].lower().replace("_", "-").replace(".", "-"): d.version
                  for d in importlib.metadata.distributions()}))
"""
_IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        importlib.import_module(module.name)
"""
_CONNECT = """
import sys, psycopg
try:
    psycopg.connect(f"host=localhost port={sys.argv[1]} user=connector sslmode=verify-full sslrootcert=system")
except psycopg.OperationalError as error:
    print(error)
"""
DEBIANS_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_OURS = "import pkgutil; print(*(m.name for m in pkgutil.iter_modules() if m.name.startswith('ehr_')))"


def locked(role: str) -> dict[str, str]:
    """Return what a lock pins on this platform."""
    text = (REPOSITORY / f"requirements/{role}.txt").read_text(encoding="utf-8")
    pins = [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"[a-zA-Z0-9]", line)]
    return {
        pin.name.lower().replace("_", "-").replace(".", "-"): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


class Image:
    """What a target's instructions made."""

    def __init__(self, target: str, root: Path) -> None:
        self.target = target
        self._root = root

    def run(self, *command: str, files: Mapping[str, Path] = MappingProxyType({})) -> str:
        """Run a command as in the container: with its variables alone, in its folder; `files` stand in for the base's."""
        found = environment(self.target).items()
        variables = {key: str(files.get(value) or inside(self._root, value)) for key, value in found}
        variables["PATH"] = variables["PATH"].replace("$PATH", os.environ["PATH"])
        done = subprocess.run(
            command,
            cwd=inside(self._root, last(self.target, "WORKDIR")),
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """Builds each target once."""
    built: dict[str, Image] = {}

    def build(target: str) -> Image:
        if target not in built:
            root = tmp_path_factory.mktemp(target)
            play(target, root, PATH)
            built[target] = Image(target, root)
        return built[target]

    return build


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_the_libraries_of_its_lock_and_no_others(image: Callable[[str], Image], target: str) -> None:
    installed = json.loads(image(target).run("python", "-c", _INSTALLED))

    assert installed == locked(target)
    foreign = {"pulumi", "pip", "pytest", "starlette" if target == "operator" else "kubernetes"}
    assert not foreign & installed.keys()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_every_module_of_the_program_can_be_imported_from_its_image(image: Callable[[str], Image], target: str) -> None:
    for package in ("ehr_api", f"ehr_{target}"):
        image(target).run("python", "-c", _IMPORT_ALL, package)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_the_entry_point_of_an_image_is_its_program(image: Callable[[str], Image], target: str) -> None:
    entry_point: list[str] = json.loads(last(target, "ENTRYPOINT"))

    assert f"EHR_{target.upper()}_LOG_LEVEL" in image(target).run(*entry_point, "--help")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_no_code_of_another_role(image: Callable[[str], Image], target: str) -> None:
    code = set(image(target).run("python", "-c", _OURS).split())

    assert code == {"ehr_api", "ehr_clients", "ehr_program", f"ehr_{target}"}


@pytest.mark.timeout(600)
def test_a_database_is_verified_with_the_roots_of_the_images_base(
    image: Callable[[str], Image], tmp_path: Path
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    base, other = tmp_path / "roots.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(base))
    stranger.cert_pem.write_to_path(str(other))

    with tls_database(authority) as port:
        known = image("connector").run("python", "-c", _CONNECT, str(port), files={DEBIANS_ROOTS: base})
        unknown = image("connector").run("python", "-c", _CONNECT, str(port), files={DEBIANS_ROOTS: other})

    assert "certificate verify failed" in unknown
    assert "unexpected eof" in known, "the stub hangs up once TLS stands"


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_numbered_user_who_is_not_root(target: str) -> None:
    user, _, group = last(target, "USER").partition(":")

    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("role", TARGETS)
def test_what_an_image_installs_is_what_was_tested(role: str) -> None:
    assert locked(role).items() <= locked("dev").items()


def test_one_argument_gives_every_base_with_its_digest() -> None:
    foreign = {stage.base for stage in stages().values() if stage.base not in stages()}

    assert foreign == {"${PYTHON_IMAGE}"}


def test_the_build_sees_what_it_copies_and_little_else() -> None:
    lines = (REPOSITORY / "deploy/Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        rest.split()[0]
        for stage in stages().values()
        for word, rest in stage.instructions
        if word == "COPY" and not rest.startswith("--from=")
    }

    assert "*" in lines
    assert {source if not source.startswith("requirements/") else "requirements" for source in copied} == allowed


@pytest.mark.timeout(600)
def test_the_linter_has_nothing_to_say(tmp_path: Path) -> None:
    lock = Path(__file__).with_name("hadolint.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "--only-binary=:all:", f"--target={tmp_path}", "-r", str(lock)], check=True)

    done = subprocess.run(
        [str(tmp_path / "bin/hadolint"), str(CONTAINERFILE)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
