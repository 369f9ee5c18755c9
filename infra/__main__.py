"""The Pulumi program: what it builds is in ehr_infra/program.py, what it is told in ehr_infra/config.py."""

from __future__ import annotations

import pulumi

from ehr_infra.config import from_pulumi
from ehr_infra.program import build

for name, value in build(from_pulumi(), pulumi.get_stack()).items():
    pulumi.export(name, value)
