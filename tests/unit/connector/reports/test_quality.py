"""What is taken out of a call record, what is not, and what counts as poor."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_api.v1alpha1.ehr_connector_config import QualityDimension, QualityThresholds
from ehr_clients.call_records import CallParticipant, Session
from ehr_connector.reports.quality.extraction import NETWORK_KINDS, PLATFORMS, Leg, legs_of
from ehr_connector.reports.quality.judgement import Limits, capped, poor_because
from ehr_connector.reports.quality.ports import OTHER, UNKNOWN, Figures, PoorBecause, QualityCounts
from ehr_connector.visits.events import Side

TENANT = "9B1F2c00-0000-4000-8000-000000000001"
CANARY = "Zebedeelabrador"
START = "2026-11-18T15:00:00Z"
GOOD = Figures(jitter_ms=30, round_trip_ms=500, packet_loss=0.10, concealed_audio=0.07, frame_rate=7)
"""At every limit, and beyond none."""


def stream(**changes: Any) -> dict[str, Any]:
    usual = {
        "streamId": CANARY,
        "streamDirection": "callerToCallee",
        "packetUtilization": 5000,
        "averageJitter": "PT0.016S",
        "maxJitter": "PT0.04S",
        "averageRoundTripTime": "PT0.06S",
        "averagePacketLossRate": 0.01,
        "averageRatioOfConcealedSamples": 0.02,
        "averageVideoFrameRate": 25.5,
        "averageFreezeDuration": "PT0.1S",
        "lowFrameRateRatio": 0.05,
    }
    return usual | changes


def network(kind: str) -> dict[str, Any]:
    return {"connectionType": kind, "ipAddress": CANARY, "macAddress": CANARY, "dnsSuffix": CANARY, "bssid": CANARY}


def media(*streams: dict[str, Any], label: str = "main-audio", caller: str = "wifi") -> dict[str, Any]:
    device = {"captureDeviceName": CANARY, "renderDeviceName": CANARY}
    return {
        "label": label,
        "callerNetwork": network(caller),
        "calleeNetwork": network("wired"),
        "callerDevice": device,
        "calleeDevice": device,
        "streams": list(streams) or [stream()],
    }


def endpoint(identity: dict[str, Any] | None, platform: str = "android") -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.callRecords.participantEndpoint",
        "name": CANARY,
        "userAgent": {"platform": platform, "headerValue": CANARY},
        "identity": identity,
        "associatedIdentity": {"id": CANARY, "displayName": CANARY, "userPrincipalName": CANARY},
        "feedback": {"text": CANARY},
    }


def who(kind: str, id_: str = "i", tenant: str | None = None) -> dict[str, Any]:
    return {"@odata.type": "#x", kind: {"id": id_, "displayName": CANARY, "tenantId": tenant}}


def session(*some: dict[str, Any], **changes: Any) -> Session:
    usual = {
        "id": "s",
        "startDateTime": START,
        "endDateTime": "2026-11-18T15:12:30Z",
        "isTest": False,
        "caller": endpoint(who("guest")),
        "callee": {"@odata.type": "#microsoft.graph.callRecords.serviceEndpoint"},
        "segments": [{"id": CANARY, "media": list(some) or [media()]}],
    }
    return Session.model_validate(usual | changes)


def participant(id_: str, identity: dict[str, Any]) -> CallParticipant:
    return CallParticipant.model_validate({"id": id_, "identity": identity})


def the_leg(one: Session, *participants: CallParticipant) -> Leg:
    (leg,) = legs_of([one], participants, TENANT)
    return leg


def test_a_leg_has_its_network_platform_and_length() -> None:
    leg = the_leg(session())

    assert (leg.network_kind, leg.platform, leg.duration_s) == ("wifi", "android", 750)
    assert leg.started_at == datetime(2026, 11, 18, 15, tzinfo=UTC)


def test_the_figures_of_a_leg_are_those_of_its_worst_stream() -> None:
    audio = media(stream(averageJitter="PT0.016S"), stream(averageJitter="PT0.041S", averagePacketLossRate=0.2))
    video = media(stream(averageVideoFrameRate=24), stream(averageVideoFrameRate=5.5), label="main-video")

    figures = the_leg(session(audio, video)).figures

    assert (figures.jitter_ms, figures.packet_loss, figures.frame_rate) == (41.0, 0.2, 5.5)
    assert (figures.round_trip_ms, figures.freeze_ms, figures.max_packet_loss) == (60.0, 100.0, None)


def test_a_stream_of_few_packets_is_not_judged() -> None:
    figures = the_leg(session(media(stream(packetUtilization=500, averageJitter="PT0.9S"), stream()))).figures

    assert figures.jitter_ms == 16.0


def test_a_shared_screen_may_stand_still() -> None:
    still = media(stream(averageVideoFrameRate=0.1), label="applicationsharing-video")

    assert the_leg(session(media(), still)).figures.frame_rate is None


@pytest.mark.parametrize("empty", [{"media": None}, {"media": []}, {"media": [{"label": None, "streams": None}]}])
def test_a_record_without_figures_is_read_and_not_judged(empty: dict[str, Any]) -> None:
    leg = the_leg(session(segments=[empty]))

    assert poor_because(leg.figures, Limits()) is None
    assert leg.network_kind == UNKNOWN


@pytest.mark.parametrize(
    ("identity", "side"),
    [
        (who("user", tenant=TENANT.lower()), Side.PROVIDER),
        (who("user", tenant="1c2d3e00-0000-4000-8000-000000000009"), Side.PATIENT),
        (who("guest"), Side.PATIENT),
        (who("azureCommunicationServicesUser"), Side.PATIENT),
        (None, None),
        ({}, None),
    ],
)
def test_who_has_an_account_of_the_organisation_is_a_clinician(
    identity: dict[str, Any] | None, side: Side | None
) -> None:
    assert the_leg(session(caller=endpoint(identity))).side is side


def test_what_participants_v2_says_goes_before_what_the_session_says() -> None:
    told = session(caller=endpoint(who("user", "A-1")))

    assert the_leg(told).side is Side.PATIENT
    assert the_leg(told, participant("a-1", who("user", "a-1", TENANT))).side is Side.PROVIDER


def test_recorders_bots_and_tests_are_no_legs() -> None:
    bots = [session(caller=endpoint(who(kind))) for kind in ("application", "applicationInstance", "device")]

    assert legs_of([*bots, session(isTest=True)], [], TENANT) == []


def test_each_end_of_a_direct_call_is_a_leg_with_its_own_network() -> None:
    direct = session(callee=endpoint(who("user", tenant=TENANT), "windows"))

    legs = legs_of([direct], [], TENANT)

    assert {(leg.side, leg.platform, leg.network_kind) for leg in legs} == {
        (Side.PATIENT, "android", "wifi"),
        (Side.PROVIDER, "windows", "wired"),
    }


@given(words=st.lists(st.sampled_from([CANARY, f"{CANARY} {CANARY}", "windows", "wifi"]), min_size=3, max_size=3))
def test_no_name_address_or_device_comes_out_whatever_field_holds_it(words: list[str]) -> None:
    platform, kind, label = words
    told = session(media(caller=kind), media(label=label), caller=endpoint(who("user", CANARY, CANARY), platform))

    leg = the_leg(told, participant(CANARY, who("guest", CANARY, CANARY)))

    assert CANARY not in f"{asdict(leg)}"
    assert leg.platform in {*PLATFORMS, UNKNOWN}
    assert leg.network_kind in {*NETWORK_KINDS, UNKNOWN}
    assert CANARY not in f"{told!r}"


def test_a_leg_at_the_limits_is_good() -> None:
    assert poor_because(GOOD, Limits()) == []


BEYOND = {
    PoorBecause.JITTER: {"jitter_ms": 30.1},
    PoorBecause.ROUND_TRIP: {"round_trip_ms": 501.0},
    PoorBecause.PACKET_LOSS: {"packet_loss": 0.101},
    PoorBecause.CONCEALED_AUDIO: {"concealed_audio": 0.071},
    PoorBecause.FRAME_RATE: {"frame_rate": 6.9},
}


@pytest.mark.parametrize("reason", PoorBecause)
def test_one_figure_beyond_its_limit_makes_a_leg_poor_and_is_named(reason: PoorBecause) -> None:
    assert poor_because(replace(GOOD, **BEYOND[reason]), Limits()) == [reason]


def test_the_organisation_says_what_is_poor() -> None:
    strict = Limits.of(
        QualityThresholds(
            jitter="10ms", round_trip_time="1s", packet_loss_percent=1, concealed_audio_percent=0, frame_rate=15
        )
    )

    assert strict == Limits(10.0, 1000.0, 0.01, 0.0, 15.0)
    assert poor_because(GOOD, strict) == [
        PoorBecause.JITTER,
        PoorBecause.PACKET_LOSS,
        PoorBecause.CONCEALED_AUDIO,
        PoorBecause.FRAME_RATE,
    ]


@pytest.mark.parametrize("thresholds", [None, QualityThresholds()])
def test_what_the_organisation_leaves_open_is_as_documented(thresholds: QualityThresholds | None) -> None:
    assert Limits.of(thresholds) == Limits(30.0, 500.0, 0.10, 0.07, 7.0)


COUNTS = st.builds(QualityCounts, *(st.integers(0, 5) for _ in range(3)))


@given(values=st.dictionaries(st.sampled_from([*"abcdefgh", OTHER]), COUNTS), most=st.integers(1, 5))
def test_a_dimension_has_at_most_its_values_and_other_and_loses_nobody(
    values: dict[str, QualityCounts], most: int
) -> None:
    found = capped(QualityDimension(name="d", source="Location", max_values=most), values)

    own = [one for one in found if one != OTHER]
    assert len(own) <= most
    assert sum(one.total for one in found.values()) == sum(one.total for one in values.values())
    assert all(found[one] == values[one] for one in own)
    left_out = [values[one].total for one in values if one not in found and one != OTHER]
    assert all(found[one].total >= size for one in own for size in left_out)
