"""The whole system, for tests of what GitOps tools do to it."""

from __future__ import annotations

from cluster.system.conftest import system

__all__ = ["system"]
