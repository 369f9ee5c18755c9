"""Microsoft Graph's call records, as far as they say how well a call went. What names a person or a device is not read.

Source: Microsoft Graph v1.0, callRecord, session, segment, media, mediaStream, participantEndpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _or_none(value: object) -> object:
    """Take an empty text for none: Graph has both."""
    return None if value == "" else value


def _listed(value: object) -> object:
    """Take null for an empty list: Graph's collections may be either."""
    return [] if value is None else value


_Ratio = Annotated[float | None, BeforeValidator(_or_none)]
_Duration = Annotated[timedelta | None, BeforeValidator(_or_none)]
_Word = Annotated[str | None, Field(repr=False)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)


class Who(_Model):
    """One identity, without its name. The ids are compared, and not kept."""

    id: str | None = Field(default=None, repr=False)
    tenant_id: str | None = Field(default=None, repr=False)


Identities = dict[str, Who | str | None]
"""An identity set: who it is, by kind (`user`, `guest`, `application`, …), beside annotations of OData."""


class CallParticipant(_Model):
    """An entry of `participants_v2`."""

    id: str = Field(repr=False)
    identity: Identities | None = Field(default=None, repr=False)


class UserAgent(_Model):
    """The program at one end of a session."""

    platform: _Word = None


class Endpoint(_Model):
    """One end of a session: a participant's, or Microsoft's own."""

    type: str = Field(default="", alias="@odata.type")
    user_agent: UserAgent | None = None
    identity: Identities | None = Field(default=None, repr=False)

    @property
    def is_participant(self) -> bool:
        """Whether it is a participant's end."""
        return self.type.endswith(".participantEndpoint")


class Network(_Model):
    """The network at one end. Its addresses are not read."""

    connection_type: _Word = None


class Stream(_Model):
    """The figures of one direction of a medium."""

    packet_utilization: int | None = None
    average_jitter: _Duration = None
    max_jitter: _Duration = None
    average_round_trip_time: _Duration = None
    max_round_trip_time: _Duration = None
    average_packet_loss_rate: _Ratio = None
    max_packet_loss_rate: _Ratio = None
    average_ratio_of_concealed_samples: _Ratio = None
    max_ratio_of_concealed_samples: _Ratio = None
    average_audio_degradation: _Ratio = None
    average_video_frame_rate: _Ratio = None
    average_freeze_duration: _Duration = None
    low_frame_rate_ratio: _Ratio = None


class Media(_Model):
    """A medium of a segment."""

    label: _Word = None
    caller_network: Network | None = None
    callee_network: Network | None = None
    streams: Annotated[list[Stream], BeforeValidator(_listed)] = Field(default_factory=list[Stream])


class Segment(_Model):
    """A part of a session."""

    media: Annotated[list[Media], BeforeValidator(_listed)] = Field(default_factory=list[Media])


class Session(_Model):
    """A participant's part of a call."""

    id: str = Field(repr=False)
    start_date_time: datetime
    end_date_time: datetime
    is_test: bool | None = None
    caller: Endpoint | None = None
    callee: Endpoint | None = None
    segments: Annotated[list[Segment], BeforeValidator(_listed)] = Field(default_factory=list[Segment])

    @property
    def media(self) -> Iterator[Media]:
        """Return the media of all segments."""
        return (one for segment in self.segments for one in segment.media)


class CallRecord(_Model):
    """A call that has ended; a higher version has more data."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    version: int
    join_web_url: str | None = Field(default=None, max_length=2048, repr=False)


class CallRecordWithSessions(CallRecord):
    """A call record with its first page of sessions."""

    sessions: list[Session] = Field(default_factory=list[Session], repr=False)
    next_link: str | None = Field(default=None, alias="sessions@odata.nextLink", repr=False)


class CallRecordWithParticipants(CallRecord):
    """A call record with its first page of participants."""

    participants: list[CallParticipant] = Field(
        default_factory=list[CallParticipant], alias="participants_v2", repr=False
    )
    next_link: str | None = Field(default=None, alias="participants_v2@odata.nextLink", repr=False)


def is_record_id(value: Any) -> bool:
    """Return whether a value can be a call record's id: it becomes part of an address."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.replace("-", "").isalnum()  # noqa: PLR2004 (as in CallRecord)
