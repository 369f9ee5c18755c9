"""What the clinician reads of a live status."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from babel import Locale

from ehr_connector.visits.events import Channel, Stage, Status
from ehr_connector.web.locales import Language, Locales
from ehr_connector.web.views import StatusView

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("came_at", "text"),
    [(NOON, "Patient is waiting in the lobby"), (None, "Somebody is waiting in the lobby")],
)
def test_who_waits_is_called_the_patient_only_after_the_patient_went_on_to_teams(
    came_at: datetime | None, text: str
) -> None:
    status = Status(Stage.IN_LOBBY, NOON, came_at=came_at, waiting=1)
    view = StatusView.of(status, Locales().choose("en", None), "UTC")
    assert (view.text, view.alert) == (text, True)


def test_an_apostrophe_is_read_as_one() -> None:
    """The page and the script escape what they are given."""
    language = Language(Locale.parse("es"), {"Link sent %(how)s": "L'enlace %(how)s", "copied": "d'un clic"})
    view = StatusView.of(Status(Stage.LINK_SENT, NOON, channels=(Channel.COPY,)), language, "UTC")
    assert view.sent == "L'enlace d'un clic"
