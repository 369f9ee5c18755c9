"""The administrator's kubectl, for tests."""

from __future__ import annotations

import subprocess

from ehr_sandbox.control_plane.cluster import ControlPlane


class Kubectl:
    """Runs the administrator's kubectl in one namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._command = [
            control_plane.kubectl,
            f"--kubeconfig={control_plane.kubeconfig}",
            f"--namespace={namespace}",
        ]

    def __call__(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120
        )

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout
