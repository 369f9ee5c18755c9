"""A call record, with the figures of its media streams.

Source: Graph, callRecord, session, segment, media, mediaStream. The figures are made up, the same for the same call.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from ehr_sandbox.graph.meeting import Call, Meeting, Participant
from ehr_sandbox.graph.times import wire_time
from ehr_sandbox.graph.world import Tenant

Quality = Literal["good", "poor"]


@dataclass
class CallRecord:
    """A call that has ended, as it is told of."""

    meeting: Meeting
    call: Call
    ended: datetime
    modified: datetime
    quality: Quality
    version: int = 1

    @property
    def id(self) -> str:
        """The call's id."""
        return self.call.id

    def to_wire(self, tenant: Tenant, address: str) -> dict[str, Any]:
        """Return the record without what must be asked for."""
        user = tenant.user(self.meeting.organizer)
        shown = {
            "id": self.meeting.organizer,
            "displayName": None if user is None else user.display_name,
            "tenantId": self.meeting.tenant,
        }
        context = f"{address}/v1.0/$metadata#communications/callRecords('{self.id}')"
        return {
            "id": self.id,
            "version": self.version,
            "type": "groupCall",
            "modalities": ["audio", "video"],
            "lastModifiedDateTime": wire_time(self.modified),
            "startDateTime": wire_time(self.call.started),
            "endDateTime": wire_time(self.ended),
            "joinWebUrl": self.meeting.join_web_url,
            # Both stopped returning data on 30 June 2026.
            "organizer": None,
            "participants": [],
            "organizer_v2@odata.context": f"{context}/organizer_v2/$entity",
            "organizer_v2": {"id": self.meeting.organizer, "identity": {"user": shown}},
            "participants_v2@odata.context": f"{context}/participants_v2/$entity",
        }

    def participants(self) -> list[dict[str, Any]]:
        """Return `participants_v2`."""
        return [
            {"id": one.user_id or one.id, "identity": {one.identity_kind: self._identity(one)}}
            for one in self._admitted()
        ]

    def sessions(self, *, segments: bool) -> list[dict[str, Any]]:
        """Return a session for everybody who was in the call."""
        return [self._session(one, segments=segments) for one in self._admitted()]

    def _admitted(self) -> list[Participant]:
        return [one for one in self.call.participants if one.admitted is not None]

    def _identity(self, one: Participant) -> dict[str, Any]:
        tenant = self.meeting.tenant if one.user_id is not None else None
        return {"id": one.user_id or one.id, "displayName": one.display_name, "tenantId": tenant}

    def _session(self, one: Participant, *, segments: bool) -> dict[str, Any]:
        session_id = str(uuid5(NAMESPACE_URL, f"{self.id}/{one.id}"))
        start, end = wire_time(one.admitted or one.joined), wire_time(one.left or self.ended)
        times = {"startDateTime": start, "endDateTime": end}
        mobile = one.user_id is None
        agent = {
            "@odata.type": "#microsoft.graph.callRecords.clientUserAgent",
            "headerValue": "CallSignalingAgent (stand-in)",
            "platform": "android" if mobile else "windows",
            "productFamily": "teams",
        }
        shown: dict[str, Any] = {
            "id": session_id,
            **times,
            "modalities": ["audio", "video"],
            "isTest": False,
            "failureInfo": None,
            "caller": {
                "@odata.type": "#microsoft.graph.callRecords.participantEndpoint",
                # What people call their devices; their own name, as a rule.
                "name": f"{one.display_name}'s device",
                "userAgent": agent,
                "identity": {one.identity_kind: self._identity(one)},
                "associatedIdentity": self._identity(one) | {"userPrincipalName": None},
                "feedback": {"rating": "poor", "text": f"{one.display_name} was hard to hear", "tokens": {}},
            },
            "callee": {
                "@odata.type": "#microsoft.graph.callRecords.serviceEndpoint",
                "userAgent": {
                    "@odata.type": "#microsoft.graph.callRecords.serviceUserAgent",
                    "headerValue": "media controller (stand-in)",
                    "role": "mediaController",
                },
            },
        }
        if segments:
            media = _media(session_id, self.version, self.quality, one.display_name, times, mobile=mobile)
            shown["segments"] = [
                {
                    "id": session_id,
                    **times,
                    "failureInfo": None,
                    "caller": shown["caller"],
                    "callee": shown["callee"],
                    "media": media,
                }
            ]
        return shown


def _media(
    seed: str, version: int, quality: Quality, owner: str, times: dict[str, str], *, mobile: bool
) -> list[dict[str, Any]]:
    dice = random.Random(f"{seed}/{version}")  # noqa: S311  # figures of nobody's call
    network = {
        "connectionType": "mobile" if mobile else "wifi",
        "ipAddress": f"203.0.113.{dice.randint(1, 254)}",
        "reflexiveIPAddress": f"198.51.100.{dice.randint(8, 254)}",
        "macAddress": "00-00-5E-00-53-01",
        "dnsSuffix": "home.example",
        "wifiDriver": None if mobile else "Stand-in wireless adapter",
        "linkSpeed": 20_000_000 if mobile else 54_000_000,
        "subnet": "203.0.113.0",
        "networkTransportProtocol": "udp",
    }
    device = {"captureDeviceName": f"{owner}'s earphones", "renderDeviceName": f"{owner}'s earphones"}
    return [
        {
            "label": label,
            "callerNetwork": network,
            "calleeNetwork": {"connectionType": "wired", "ipAddress": "198.51.100.7", "linkSpeed": None},
            "callerDevice": device if label == "main-audio" else None,
            "calleeDevice": None,
            "streams": [
                _stream(dice, label, quality, direction) | times for direction in ("callerToCallee", "calleeToCaller")
            ],
        }
        for label in ("main-audio", "main-video")
    ]


def _stream(dice: random.Random, label: str, quality: Quality, direction: str) -> dict[str, Any]:
    worse = 1.0 if quality == "good" else 8.0
    jitter_s = dice.uniform(0.002, 0.008) * worse
    trip_s = dice.uniform(0.02, 0.06) * worse
    loss = dice.uniform(0.0005, 0.004) * worse
    concealed = dice.uniform(0.001, 0.006) * worse
    is_video = label == "main-video"
    return {
        "streamId": str(dice.randrange(10**9)),
        "streamDirection": direction,
        "audioCodec": None if is_video else "satin",
        "videoCodec": "h264" if is_video else None,
        "averageAudioDegradation": None if is_video else round(dice.uniform(0.01, 0.1) * worse, 3),
        "averageAudioNetworkJitter": None if is_video else _duration(jitter_s),
        "maxAudioNetworkJitter": None if is_video else _duration(jitter_s * 3),
        "averageJitter": _duration(jitter_s),
        "maxJitter": _duration(jitter_s * 3),
        "averageRoundTripTime": _duration(trip_s),
        "maxRoundTripTime": _duration(trip_s * 2),
        "averagePacketLossRate": round(loss, 5),
        "maxPacketLossRate": round(loss * 4, 5),
        "averageRatioOfConcealedSamples": None if is_video else round(concealed, 5),
        "maxRatioOfConcealedSamples": None if is_video else round(concealed * 3, 5),
        "averageVideoFrameRate": round(dice.uniform(24, 30) / (worse**0.5), 1) if is_video else None,
        "averageReceivedFrameRate": None,
        "averageVideoFrameLossPercentage": round(dice.uniform(0.1, 1) * worse, 2) if is_video else None,
        "averageVideoPacketLossRate": round(loss, 5) if is_video else None,
        "averageFreezeDuration": _duration(0.05 * worse) if is_video else None,
        "rmsFreezeDuration": _duration(0.07 * worse) if is_video else None,
        "lowFrameRateRatio": round(0.01 * worse, 3) if is_video else None,
        "lowVideoProcessingCapabilityRatio": None,
        "postForwardErrorCorrectionPacketLossRate": round(loss / 2, 5),
        "averageBandwidthEstimate": int(4_000_000 / worse),
        "packetUtilization": dice.randint(5_000, 50_000),
        "isAudioForwardErrorCorrectionUsed": None if is_video else True,
        "wasMediaBypassed": None,
    }


def _duration(seconds: float) -> str:
    """Return an ISO 8601 duration, as `PT0.016S`."""
    return f"PT{seconds:.3f}S"
