"""`python -m ehr_operator` as far as it comes without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys

from ehr_operator.settings import Settings


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program with these settings and no others."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EHR_")}
    environment |= {f"EHR_OPERATOR_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "ehr_operator", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_its_help_lists_every_setting() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert [name for name in Settings.model_fields if f"EHR_OPERATOR_{name.upper()}\n" not in done.stdout] == []


def test_wrong_settings_are_all_named_and_end_it_with_status_2() -> None:
    done = run(PORT="none", PURCHASING="maybe", ACS_CREDENTIAL="hunter2")

    assert done.returncode == 2
    assert done.stdout == ""
    for name in ("PORT", "PURCHASING", "ACS_CREDENTIAL"):
        assert f"EHR_OPERATOR_{name}: " in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_needs_no_right_settings() -> None:
    assert run("--help", PORT="none").returncode == 0
