"""The only recipients of an organisation's Test endpoints: a file that is mounted from a Secret.

They stand in `{folder}/{namespace}/{name}`, one a line: phones in E.164, and addresses for e-mail. The file is read each time,
so that a change of the Secret holds at once; what is not there allows nobody.
"""

from __future__ import annotations

from pathlib import Path


class AllowLists:
    """The lists of all organisations."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def holds(self, namespace: str, name: str, recipient: str) -> bool:
        """Return whether the organisation lets its Test endpoints write to this recipient."""
        if self._folder is None:
            return False
        try:
            lines = (self._folder / namespace / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        return recipient.casefold() in {line.strip().casefold() for line in lines if line.strip()}
