"""The parts of FHIR R4 resources that visits need, as Oracle Health Millennium fills them.

Everything else in a resource is dropped when it is read. Values are personal data: they are held in memory for the time
of a request and never logged, so no field appears in a repr. Source: Millennium Platform APIs, R4 Appointment, Encounter,
Patient.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasPath,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

PATIENT_ROOM = "Patient Virtual Meeting Room"
PROVIDER_ROOM = "Provider Virtual Meeting Room"
"""`type.text` of the two contained HealthcareServices that hold the links of a video visit."""

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MINUTES_MAX = 7 * 24 * 60


def _sane(moment: datetime) -> datetime:
    """Refuse a year near the ends of the calendar: hours are added to it and taken from it."""
    if not _FIRST <= moment < _LAST:
        raise ValueError("must be a year from 1970 to 2199")
    return moment


def _if_readable(value: object, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        return read(value)
    except ValidationError:
        return None


FhirId = Annotated[str, Field(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
"""A logical id, or a version. Source: FHIR R4, data type `id`."""
Instant = Annotated[AwareDatetime, AfterValidator(_sane)]
"""A time with its offset. Source: FHIR R4, data type `instant`."""
MaybeInstant = Annotated[Instant | None, WrapValidator(_if_readable)]
"""The same, or None where there is only a day or a year, as the period of a phone number may have it."""


class FhirModel(BaseModel):
    """Reads camel case, ignores what it does not know, and shows nothing."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """Show nothing: a resource is about a person."""
        return []


class Coding(FhirModel):
    """A code of a system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(FhirModel):
    """A concept, by codes and by text."""

    coding: list[Coding] = Field(default_factory=list[Coding])
    text: str | None = None

    def is_any_of(self, values: set[str]) -> bool:
        """Return whether its text or one of its codes is among `values`."""
        return self.text in values or any(coding.code in values for coding in self.coding)


class Reference(FhirModel):
    """A reference to another resource of the same server."""

    reference: str | None = None
    display: str | None = None

    def id_of(self, resource_type: str) -> str | None:
        """Return the logical id, when it refers to a resource of this type."""
        if self.reference is None:
            return None
        kind, _, logical_id = self.reference.rpartition("/")
        return logical_id if kind.rpartition("/")[2] == resource_type and logical_id else None


class Period(FhirModel):
    """A time with a beginning and an end."""

    start: MaybeInstant = None
    end: MaybeInstant = None


class ContactPoint(FhirModel):
    """A phone number, an e-mail address, a URL."""

    system: str | None = None
    value: str | None = None
    use: str | None = None
    rank: int | None = None
    period: Period | None = None


class Contained(FhirModel):
    """A contained resource; of interest are the HealthcareServices that hold links."""

    resource_type: str = ""
    type: list[CodeableConcept] = Field(default_factory=list[CodeableConcept])
    telecom: list[ContactPoint] = Field(default_factory=list[ContactPoint])


class Participant(FhirModel):
    """Who or what takes part in an appointment."""

    actor: Reference | None = None
    status: str | None = None


AppointmentStatus = Literal[
    "proposed",
    "pending",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
    "checked-in",
    "waitlist",
]


class Appointment(FhirModel):
    """A booking."""

    id: FhirId
    version: FhirId | None = Field(default=None, validation_alias=AliasPath("meta", "versionId"))
    status: AppointmentStatus
    service_type: list[CodeableConcept] = Field(default_factory=list[CodeableConcept])
    appointment_type: CodeableConcept | None = None
    start: Instant | None = None
    end: Instant | None = None
    minutes_duration: int | None = Field(default=None, ge=0, le=_MINUTES_MAX)
    participant: list[Participant] = Field(default_factory=list[Participant])
    contained: list[Contained] = Field(default_factory=list[Contained])

    def ids_of(self, resource_type: str) -> list[str]:
        """Return the logical ids of the participants of a type."""
        actors = [one.actor.id_of(resource_type) for one in self.participant if one.actor is not None]
        return [logical_id for logical_id in actors if logical_id is not None]

    def link(self, room: str) -> str | None:
        """Return the link of a virtual meeting room. Rooms are told by type: their order differs from that of writing."""
        for service in self.contained:
            if any(concept.text == room for concept in service.type):
                return next((point.value for point in service.telecom if point.system == "url" and point.value), None)
        return None

    def link_period(self) -> tuple[datetime | None, datetime | None]:
        """Return the time for which the provider's link holds, as far as it is said."""
        for service in self.contained:
            if any(concept.text == PROVIDER_ROOM for concept in service.type):
                period = next((point.period for point in service.telecom if point.period is not None), None)
                return (period.start, period.end) if period else (None, None)
        return None, None

    def has_rooms(self) -> bool:
        """Return whether a room stands in it already, so that links are replaced and not added."""
        return self.link(PATIENT_ROOM) is not None or self.link(PROVIDER_ROOM) is not None


class Encounter(FhirModel):
    """The contact that happens."""

    id: FhirId
    status: str | None = None
    appointment: list[Reference] = Field(default_factory=list[Reference])


class Communication(FhirModel):
    """A language that a patient speaks."""

    language: CodeableConcept | None = None
    preferred: bool = False


class HumanName(FhirModel):
    """A name."""

    text: str | None = None
    use: str | None = None
    family: str | None = None
    given: list[str] = Field(default_factory=list[str])


class Extension(FhirModel):
    """What a server says beyond the standard."""

    url: str | None = None
    extension: list[Extension] = Field(default_factory=list["Extension"])
    value_codeable_concept: CodeableConcept | None = None


def _readable(value: object, read: ValidatorFunctionWrapHandler) -> list[Extension]:
    try:
        return read(value)
    except ValidationError:
        return []


Extensions = Annotated[list[Extension], WrapValidator(_readable)]
"""Extensions, or none where they cannot be read: nothing that is not standard makes a resource unreadable."""


class Patient(FhirModel):
    """Who a patient is, how the patient is reached, and in which language."""

    id: FhirId
    active: bool = True
    birth_date: str | None = Field(default=None, max_length=10)
    """YYYY, YYYY-MM or YYYY-MM-DD."""
    extension: Extensions = Field(default_factory=list[Extension])
    deceased_boolean: bool = False
    deceased_date_time: str | None = None
    name: list[HumanName] = Field(default_factory=list[HumanName])
    telecom: list[ContactPoint] = Field(default_factory=list[ContactPoint])
    communication: list[Communication] = Field(default_factory=list[Communication])

    def display_name(self) -> str | None:
        """Return the name that is used, to show to the clinician."""
        ranked = sorted(self.name, key=lambda one: one.use not in {"official", "usual"})
        for one in ranked:
            written = one.text or " ".join([*one.given, *([one.family] if one.family else [])])
            if written:
                return written
        return None


class Link(FhirModel):
    """A link of a Bundle."""

    relation: str
    url: str


class AppointmentEntry(FhirModel):
    """An entry of a Bundle of appointments."""

    resource: dict[str, object] | None = None


class AppointmentBundle(FhirModel):
    """One page of a search."""

    resource_type: Literal["Bundle"]
    link: list[Link] = Field(default_factory=list[Link])
    entry: list[AppointmentEntry] = Field(default_factory=list[AppointmentEntry])
