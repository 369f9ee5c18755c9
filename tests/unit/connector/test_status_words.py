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
    ("stage", "is_patient", "text"),
    [
        (Stage.IN_LOBBY, True, "Patient is waiting in the lobby"),
        (Stage.IN_LOBBY, False, "Somebody is waiting in the lobby"),
        (Stage.IN_VISIT, True, "Patient is in the visit"),
        (Stage.IN_VISIT, False, "Somebody is in the visit"),
        (Stage.LEFT, True, "Patient left"),
        (Stage.LEFT, False, "Somebody left"),
    ],
)
def test_who_is_there_is_called_the_patient_only_after_the_patient_went_on_to_teams(
    stage: Stage, is_patient: bool, text: str
) -> None:
    view = StatusView.of(Status(stage, NOON, is_patient=is_patient), Locales().choose("en", None), "UTC")
    assert (view.text, view.alert) == (text, stage is Stage.IN_LOBBY)


def test_an_apostrophe_is_read_as_one() -> None:
    """The page and the script escape what they are given."""
    language = Language(Locale.parse("es"), {"Link sent %(how)s": "L'enlace %(how)s", "copied": "d'un clic"})
    view = StatusView.of(Status(Stage.LINK_SENT, NOON, channels=(Channel.COPY,)), language, "UTC")
    assert view.sent == "L'enlace d'un clic"


@pytest.mark.parametrize(
    ("stage", "text"), [(Stage.IN_LOBBY, "since 12:00"), (Stage.LEFT, "at 12:00"), (Stage.LINK_SENT, "at 12:00")]
)
def test_what_happened_in_a_moment_happened_at_a_time_and_not_since(stage: Stage, text: str) -> None:
    view = StatusView.of(Status(stage, NOON), Locales().choose("en", None), "UTC")
    assert (view.since_text or "").startswith(text)
