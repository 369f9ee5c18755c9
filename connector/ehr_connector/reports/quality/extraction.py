"""What a call record says of how well a call went, leg by leg. Pure; who took part is compared, and nothing of it returned.

Source: Microsoft Graph, callRecords: session, media, mediaStream; Teams, "Stream classification in Call Quality
Dashboard": streams of 500 packets or fewer are too short to be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_clients.call_records import CallParticipant, Endpoint, Identities, Media, Network, Session, Stream, Who
from ehr_connector.reports.quality.ports import UNKNOWN, Figures
from ehr_connector.teams.roster import NO_PERSON
from ehr_connector.visits.events import Side

_SHORT_PACKETS = 500
NETWORK_KINDS = ("wired", "wifi", "mobile", "tunnel")
PLATFORMS = (*("windows", "macOS", "iOS", "android", "web", "ipPhone", "roomSystem", "surfaceHub", "holoLens"),)
"""Every other word is `unknown`: a closed list cannot carry a name."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One participant's part of a call."""

    side: Side | None
    started_at: datetime
    duration_s: int
    network_kind: str
    platform: str
    figures: Figures


def legs_of(sessions: Iterable[Session], participants: Iterable[CallParticipant], tenant_id: str) -> Sequence[Leg]:
    """Return the legs in the order of their start; `tenant_id` is the organisation's, whose accounts are clinicians'."""
    known = {one.id.lower(): one.identity for one in participants}
    legs = [leg for session in sessions for leg in _legs(session, known, tenant_id.lower())]
    return sorted(legs, key=lambda leg: (leg.started_at, leg.duration_s, leg.platform, leg.network_kind))


def _legs(session: Session, known: Mapping[str, Identities | None], tenant_id: str) -> Iterator[Leg]:
    if session.is_test:
        return
    ends: tuple[tuple[Endpoint | None, Callable[[Media], Network | None]], ...] = (
        (session.caller, lambda media: media.caller_network),
        (session.callee, lambda media: media.callee_network),
    )
    for end, network_of in ends:
        if end is None or not end.is_participant:
            continue
        who = list(_people(end.identity, known))
        if end.identity and not who:
            continue
        platform = end.user_agent.platform if end.user_agent else None
        yield Leg(
            side=_side(who, tenant_id),
            started_at=session.start_date_time,
            duration_s=max(0, round((session.end_date_time - session.start_date_time).total_seconds())),
            network_kind=_network_kind(network_of(media) for media in session.media),
            platform=platform if platform in PLATFORMS else UNKNOWN,
            figures=_figures(session),
        )


def _people(identity: Identities | None, known: Mapping[str, Identities | None]) -> Iterator[tuple[str, Who]]:
    """Give the people of an identity set, as `participants_v2` has them where it knows more."""
    for kind, who in (identity or {}).items():
        if isinstance(who, Who):
            better = known.get((who.id or "").lower()) or {kind: who}
            yield from ((k, one) for k, one in better.items() if isinstance(one, Who) and k not in NO_PERSON)


def _side(who: Sequence[tuple[str, Who]], tenant_id: str) -> Side | None:
    """Return who it was, by the rule of the live status: an account of the organisation is a clinician's."""
    if not who:
        return None
    is_ours = any(kind == "user" and (one.tenant_id or "").lower() == tenant_id for kind, one in who)
    return Side.PROVIDER if is_ours else Side.PATIENT


def _network_kind(networks: Iterable[Network | None]) -> str:
    kinds = (one.connection_type for one in networks if one is not None)
    return next((kind for kind in kinds if kind in NETWORK_KINDS), UNKNOWN)


def _figures(session: Session) -> Figures:
    audio = [stream for media in session.media if "audio" in (media.label or "") for stream in _judged(media)]
    # A shared screen that stands still has few frames, and that is no fault.
    video = [
        stream for media in session.media if (media.label or "").startswith("main-video") for stream in _judged(media)
    ]
    return Figures(
        jitter_ms=_longest(stream.average_jitter for stream in audio),
        max_jitter_ms=_longest(stream.max_jitter for stream in audio),
        round_trip_ms=_longest(stream.average_round_trip_time for stream in audio),
        max_round_trip_ms=_longest(stream.max_round_trip_time for stream in audio),
        packet_loss=_worst(stream.average_packet_loss_rate for stream in audio),
        max_packet_loss=_worst(stream.max_packet_loss_rate for stream in audio),
        concealed_audio=_worst(stream.average_ratio_of_concealed_samples for stream in audio),
        max_concealed_audio=_worst(stream.max_ratio_of_concealed_samples for stream in audio),
        audio_degradation=_worst(stream.average_audio_degradation for stream in audio),
        frame_rate=min((one for stream in video if (one := stream.average_video_frame_rate) is not None), default=None),
        freeze_ms=_longest(stream.average_freeze_duration for stream in video),
        low_frame_rate=_worst(stream.low_frame_rate_ratio for stream in video),
    )


def _judged(media: Media) -> Iterator[Stream]:
    return (one for one in media.streams if one.packet_utilization is None or one.packet_utilization > _SHORT_PACKETS)


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _longest(values: Iterable[timedelta | None]) -> float | None:
    """Return the longest, in milliseconds."""
    return _worst(value / timedelta(milliseconds=1) if value is not None else None for value in values)
