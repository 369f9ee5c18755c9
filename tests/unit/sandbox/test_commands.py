"""`python -m ehr_sandbox` imports a command's package only when that command is asked for."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import atexit, sys
from ehr_sandbox.__main__ import main
atexit.register(lambda: print(*sorted(name for name in sys.modules if name.startswith("ehr_")), file=sys.stderr))
main(sys.argv[1:])
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False)


def test_the_help_lists_the_commands_and_imports_none() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert "control-plane" in done.stdout
    assert ".cli" not in done.stderr


def test_a_command_imports_no_other_command_and_no_product_package() -> None:
    done = run("control-plane", "--help")

    packages = {".".join(name.split(".")[:2]) for name in done.stderr.split()}
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("up", "env", "down", "fetch"))
    shared = {"ehr_sandbox", "ehr_sandbox.__main__", "ehr_sandbox.user_cache"}
    assert packages - shared == {"ehr_sandbox.control_plane"}


def test_an_unknown_command_is_refused_by_its_name() -> None:
    done = run("controlplane")

    assert done.returncode == 2
    assert "No such command 'controlplane'" in done.stderr
