"""Fixtures for finding programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.sandbox.control_plane.shelf import RecordingProgress

from ehr_sandbox.control_plane.cache import Cache


@pytest.fixture
def progress() -> RecordingProgress:
    return RecordingProgress()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
