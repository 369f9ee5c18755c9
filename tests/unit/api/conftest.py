"""Settings of generated examples."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes depends on the machine and on who else works on it; it says nothing about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
