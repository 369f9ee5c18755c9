"""`python -m ehr_operator plan` as far as it comes without a cluster: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.operator.plan_command.cluster import planned, served, written

from ehr_operator.plan_command.command import main
from ehr_operator.plan_command.present import as_json, as_text

SAMPLES = Path(__file__).resolve().parents[4] / "deploy" / "samples"


def test_new_objects_are_nothing_destructive(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["-f", str(SAMPLES), "-n", "lamna", "--no-cluster"])

    shown = capsys.readouterr().out
    assert status == 0
    assert shown.startswith("Organisation lamna/lamna\n")
    assert "for at most 5.00 USD a month" in shown
    assert shown.endswith("None destructive.\n")


def test_json_has_the_stated_fields(capsys: pytest.CaptureFixture[str]) -> None:
    main(["-f", str(SAMPLES / "number.yaml"), "-n", "lamna", "--no-cluster", "-o", "json"])

    assert json.loads(capsys.readouterr().out) == {
        "format": "ehrconnector.io/plan/v1",
        "destructive": False,
        "effects": [
            {
                "organization": "lamna/lamna",
                "object": {"kind": "SmsNumber", "namespace": "lamna", "name": "lamna-sms"},
                "action": "NumberWaits",
                "destructive": False,
                "message": "waiting for the EHRConnectorConfig 'lamna' in this namespace. Author: apply it, or correct configRef",
                "changes": [],
            }
        ],
    }


def test_text_marks_what_is_destructive_and_shows_both_values() -> None:
    effects = planned(written(served(), lamna_test={"spec": {"smart": {"systemClientID": "another"}}}), served())

    lines = as_text(effects).splitlines()

    assert (
        "! RecordChanged  IntegrationRecord/lamna-test-provider: it has to be copied into the EHR again; the"
        " old one stays valid for 336 hours"
    ) in lines
    assert "spec.systemClientID: lamna-system -> another" in {line.strip() for line in lines}
    assert lines[-1] == "1 RecordChanged. 1 destructive (!)."
    assert json.loads(as_json(effects))["destructive"] is True


def test_nothing_to_do_is_said() -> None:
    assert as_text(planned(written(served()), served())).endswith("Nothing outside the cluster would change.")


def test_a_wrong_input_ends_with_status_1_and_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = (SAMPLES / "number.yaml").read_text()
    (tmp_path / "number.yaml").write_text(sample.replace("acquire:", "aquire:").replace("Verified", "Maybe"))

    assert main(["-f", str(tmp_path), "--no-cluster"]) == 1

    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{tmp_path}/number.yaml (SmsNumber lamna-sms): spec.aquire: unknown field" in shown.err
    assert "spec.verification.state" in shown.err


def test_an_input_without_our_objects_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-f", str(SAMPLES / "namespace.yaml"), "--no-cluster"]) == 1
    assert "holds no EHRConnectorConfig" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["-f", "a", "-k", "b"], ["-f", "a", "--output", "xml"], ["-f", "a", "more"]])
def test_wrong_arguments_end_with_status_1_since_2_means_destructive(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 1
    assert "error: " in capsys.readouterr().err


def test_its_help_names_options_and_exit_statuses() -> None:
    command = [sys.executable, "-m", "ehr_operator", "plan", "--help"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    for words in ("--filename", "--kustomize", "--prune", "--no-cluster", "--output", "exit status:", "  2  something"):
        assert words in done.stdout


def test_the_help_of_the_operator_names_the_command() -> None:
    command = [sys.executable, "-m", "ehr_operator", "--help"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert "plan      tell what an apply would do to the outside world" in done.stdout


def test_a_cluster_that_does_not_answer_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ehr_operator", "plan", "-f", str(SAMPLES), "-n", "lamna"],
        env={**os.environ, "KUBECONFIG": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "the cluster of the current kubeconfig gives no usable answer" in done.stderr
    assert "--no-cluster" in done.stderr
    assert "Traceback" not in done.stderr
