"""What the clinician's pages show: one dataclass for each template, and the words for a live status.

Each is the whole context of its template (`pages.render(request, TEMPLATE, vars_of(view))`). The buttons are forms that POST
`csrf` to addresses below `VisitView.path`:

| path                  | fields                         | what                                                        |
| --------------------- | ------------------------------ | ----------------------------------------------------------- |
| `{path}/join`         |                                | 303 to Teams, in a window of its own                        |
| `{path}/send`         | `channel`: `sms` or `email`    | send the patient's link                                     |
| `{path}/copied`       |                                | the link was copied (script only; answered with 204)        |
| `{path}/consult`      |                                | 303 to a meeting without a patient, in a window of its own  |
| `consult_path`        |                                | the same for a patient without a visit                      |
| `{path}/invitations`  | `role`: `guest`, `interpreter` | one more link                                               |
| `{path}/revocations`  | `number`                       | that link stops working                                     |

`board.js` listens at `stream_url` for `event: status` with `StatusView.to_json()` plus `visit` as data, for `event: reload`
(something else changed: the page is fetched again) and, on the sign-in page, for `event: signed-in`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from datetime import date, datetime
from typing import Any, ClassVar, Protocol

from ehr_clients.fhir_model import Patient
from ehr_connector.visits.events import Channel, DeviceTestResult, Stage, Status
from ehr_connector.visits.links import Role
from ehr_connector.web.locales import N_, Language

_STAGES = {
    Stage.NOT_SENT: N_("Link not sent"),
    Stage.LINK_SENT: N_("Link sent"),
    Stage.OPENED: N_("Patient opened the page"),
    Stage.JOINING: N_("Patient is joining"),
    Stage.IN_LOBBY: N_("Patient is waiting in the lobby"),
    Stage.IN_VISIT: N_("Patient is in the visit"),
    Stage.LEFT: N_("Patient left"),
}
_SOMEBODYS_STAGES = {
    Stage.IN_LOBBY: N_("Somebody is waiting in the lobby"),
    Stage.IN_VISIT: N_("Somebody is in the visit"),
    Stage.LEFT: N_("Somebody left"),
}
"""The patient did not go on to Teams by the link: it may be a guest or an interpreter."""
_DEVICE_TESTS = {
    DeviceTestResult.PASSED: N_("Device test passed"),
    DeviceTestResult.NO_MICROPHONE: N_("Device test: no microphone found"),
    DeviceTestResult.NO_CAMERA: N_("Device test: no camera found"),
    DeviceTestResult.REFUSED: N_("Device test: camera and microphone not allowed"),
    DeviceTestResult.SILENT: N_("Device test: the microphone gave no sound"),
    DeviceTestResult.NO_CONNECTION: N_("Device test: weak connection"),
    DeviceTestResult.UNSUPPORTED: N_("Device test: the browser cannot do it"),
}
_LASTING = frozenset({Stage.JOINING, Stage.IN_LOBBY, Stage.IN_VISIT})
_SINCE, _AT = N_("since %(time)s"), N_("at %(time)s")
CHANNELS = {
    Channel.SMS: N_("by text message"),
    Channel.EMAIL: N_("by e-mail"),
    Channel.COPY: N_("copied"),
}


@dataclass(frozen=True, slots=True)
class StatusView:
    """The live status of a visit in words."""

    stage: Stage
    text: str
    """For example "Patient is waiting in the lobby"."""
    since: str | None
    """ISO 8601, for the script that counts the waiting time."""
    since_text: str | None
    """Since when, or for what happens in a moment at what time, on the clinic's clock."""
    sent: str | None
    """How the link went, when it did."""
    device_test: str | None
    alert: bool
    """Whether somebody waits, also while a clinician is in the visit: who waits is let in by a person."""

    @classmethod
    def of(cls, status: Status, language: Language, time_zone: str) -> StatusView:
        """Return the words for `status`."""
        stages = _STAGES if status.is_patient else _STAGES | _SOMEBODYS_STAGES
        told = language.time(status.since, time_zone) if status.since else None
        sent = ", ".join(language.plain(CHANNELS[channel]) for channel in status.channels)
        return cls(
            stage=status.stage,
            text=language.plain(stages[status.stage]),
            since=status.since.isoformat() if status.since else None,
            since_text=language.plain(_SINCE if status.stage in _LASTING else _AT, time=told) if told else None,
            sent=language.plain(N_("Link sent %(how)s"), how=sent) if sent else None,
            device_test=language.plain(_DEVICE_TESTS[status.device_test]) if status.device_test else None,
            alert=status.waiting > 0 or status.stage is Stage.IN_LOBBY,
        )

    def to_json(self) -> dict[str, object]:
        """Return what the stream carries."""
        return dict(vars_of(self))


@dataclass(frozen=True, slots=True)
class InvitationView:
    """A link for one more person."""

    number: int
    role: Role
    """GUEST or INTERPRETER."""
    link: str


@dataclass(frozen=True, slots=True)
class VisitView:
    """One visit on the board."""

    id: str
    """Names the visit in the stream and in the page: its keyed digest."""
    path: str
    """Where its actions are, without a slash at the end."""
    start: datetime
    end: datetime | None
    time_zone: str
    visit_type: str | None
    department: str | None
    open: bool
    """Whether the patient can join now."""
    status: StatusView
    can_join: bool
    can_send_sms: bool
    can_send_email: bool
    can_consult: bool
    can_invite: bool
    patient_link: str | None
    """What **Copy** copies; None when the visit has no link for a patient."""
    invitations: Sequence[InvitationView] = ()


@dataclass(frozen=True, slots=True)
class NoticeView:
    """What came of the last action."""

    text: str
    """Translated."""
    kind: str = "good"
    """`good`, `warn` or `bad`."""


@dataclass(frozen=True, slots=True)
class BoardView:
    """`board.html`: the visits of the launched patient."""

    TEMPLATE = "board.html"

    organization_name: str
    is_test: bool
    """Whether it is a Test endpoint: the page says so."""
    patient_banner: str | None
    """Who the patient is, only when the EHR asks for it (`need_patient_banner`)."""
    today: Sequence[VisitView]
    upcoming: Sequence[VisitView]
    stream_url: str
    csrf: str
    help_phone: str | None
    notice: NoticeView | None = None
    consult_path: str | None = None
    """Where a colleague is consulted about a patient who has no visit to consult about."""
    is_supported: bool = True
    """Whether Teams works in this browser, as far as one can tell."""


@dataclass(frozen=True, slots=True)
class MicrosoftView:
    """`microsoft.html`: the one sign-in, in the frame."""

    TEMPLATE = "microsoft.html"

    organization_name: str
    is_test: bool
    matching_text: str
    """Shown here and in the window, so that the clinician sees that both belong together."""
    sign_in_url: str
    stream_url: str
    help_phone: str | None


@dataclass(frozen=True, slots=True)
class ConfirmView:
    """`confirm.html`: in the window, before its Microsoft account is tied to the launch."""

    TEMPLATE = "confirm.html"

    organization_name: str
    is_test: bool
    matching_text: str
    account: str | None
    """The Microsoft account, when it is known already; shown and not kept."""
    action_url: str
    """Gets a POST with `csrf` and `answer`: `yes` or `no`."""
    csrf: str
    other_account_url: str
    """Where Microsoft asks again which account it is to be."""


@dataclass(frozen=True, slots=True)
class SignedInView:
    """`signed_in.html`: in the window, at the end."""

    TEMPLATE = "signed_in.html"

    organization_name: str
    is_test: bool


def banner_of(patient: Patient, language: Language) -> str | None:
    """Return name and birth date, as an EHR's own banner has them: two patients may have one name. It is shown and not kept."""
    told = patient.birth_date
    try:
        born = language.day(date.fromisoformat(told)) if told else None
    except ValueError:  # a year or a month alone
        born = told
    words = language.plain(N_("born %(date)s"), date=born) if born else None
    return " · ".join(one for one in (patient.display_name(), words) if one) or None


class View(Protocol):
    """A dataclass that is the context of a template."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def vars_of(view: View) -> Mapping[str, object]:
    """Return the fields of a view, not copied, as a template's context."""
    return {one.name: getattr(view, one.name) for one in fields(view)}
