"""The built-in texts of messages, for each language."""

# ruff: noqa: RUF001  # Chinese has colons, commas and brackets of its own.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ehr_api.v1alpha1.message_templates import Locale


class Occasion(StrEnum):
    """What a message is about."""

    BOOKING = "booking"
    CHANGE = "change"
    CANCELLATION = "cancellation"
    REMINDER = "reminder"
    LINK = "link"
    """A clinician sends the link."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts of one language; the placeholders are those of an organisation's templates, and {help}."""

    texts: Mapping[Occasion, str]
    subjects: Mapping[Occasion, str]
    opt_out: str
    help: str
    """Goes in where there is a help phone; begins with a space where the language has any."""
    help_answer: str
    """What answers the word HELP: whose texts these are, whom to call, how to end them (CTIA, Messaging Principles)."""
    begin: str = ""
    """Stands before each text: else a line that begins with a Latin name runs from left to right."""
    before_number: str = ""
    """Stands before a phone number: else its plus sign is shown behind it."""


# The texts avoid letters that GSM-7 has not, where the language allows: one such letter more than doubles the price.
WORDINGS: Mapping[Locale, Wording] = {
    Locale.ENGLISH: Wording(
        texts={
            Occasion.BOOKING: "{organization}: your video visit is booked for {time} {timeZone}. Join: {link}{help} {optOut}",
            Occasion.CHANGE: "{organization}: your video visit is now on {time} {timeZone}. Join: {link}{help} {optOut}",
            Occasion.CANCELLATION: "{organization}: your video visit on {time} {timeZone} is cancelled.{help} {optOut}",
            Occasion.REMINDER: "{organization}: reminder of your video visit on {time} {timeZone}. Join: {link}{help} {optOut}",
            Occasion.LINK: "{organization}: video visit {time} {timeZone}: {link} {optOut}",
        },
        subjects={
            Occasion.BOOKING: "{organization}: your video visit",
            Occasion.CHANGE: "{organization}: your video visit was moved",
            Occasion.CANCELLATION: "{organization}: your video visit is cancelled",
            Occasion.REMINDER: "{organization}: reminder of your video visit",
            Occasion.LINK: "{organization}: the link of your video visit",
        },
        opt_out="Reply STOP to opt out.",
        help=" Help: {helpPhone}.",
        help_answer="{organization}: texts about your video visits.{help} {optOut}",
    ),
    Locale.SPANISH: Wording(
        texts={
            Occasion.BOOKING: "{organization}: su visita por video es el {time} {timeZone}. Enlace: {link}{help} {optOut}",
            Occasion.CHANGE: "{organization}: su visita por video es ahora el {time} {timeZone}. Enlace: {link}{help} {optOut}",
            Occasion.CANCELLATION: "{organization}: se ha cancelado su visita por video del {time} {timeZone}.{help} {optOut}",
            Occasion.REMINDER: "{organization}: recordatorio de su visita por video, {time} {timeZone}. Enlace: {link}{help} {optOut}",
            Occasion.LINK: "{organization}: visita por video {time} {timeZone}: {link} {optOut}",
        },
        subjects={
            Occasion.BOOKING: "{organization}: su visita por video",
            Occasion.CHANGE: "{organization}: cambio de su visita por video",
            Occasion.CANCELLATION: "{organization}: visita por video cancelada",
            Occasion.REMINDER: "{organization}: recordatorio de su visita por video",
            Occasion.LINK: "{organization}: enlace de su visita por video",
        },
        opt_out="Responda STOP para darse de baja.",
        help=" Ayuda: {helpPhone}.",
        help_answer="{organization}: mensajes sobre sus visitas por video.{help} {optOut}",
    ),
    Locale.CHINESE_SIMPLIFIED: Wording(
        texts={
            Occasion.BOOKING: "{organization}：您的视频就诊已预约在{time}（{timeZone}）。加入：{link} {help}{optOut}",
            Occasion.CHANGE: "{organization}：您的视频就诊改为{time}（{timeZone}）。加入：{link} {help}{optOut}",
            Occasion.CANCELLATION: "{organization}：您{time}（{timeZone}）的视频就诊已取消。{help}{optOut}",
            Occasion.REMINDER: "{organization}：提醒您{time}（{timeZone}）的视频就诊。加入：{link} {help}{optOut}",
            Occasion.LINK: "{organization}：您的视频就诊，{time}（{timeZone}）。加入：{link} {help}{optOut}",
        },
        subjects={
            Occasion.BOOKING: "{organization}：您的视频就诊",
            Occasion.CHANGE: "{organization}：您的视频就诊已改期",
            Occasion.CANCELLATION: "{organization}：您的视频就诊已取消",
            Occasion.REMINDER: "{organization}：视频就诊提醒",
            Occasion.LINK: "{organization}：视频就诊链接",
        },
        opt_out="回复STOP退订。",
        help="帮助：{helpPhone}。",
        help_answer="{organization}：有关您视频就诊的短信。{help}{optOut}",
    ),
    Locale.ARABIC: Wording(
        texts={
            Occasion.BOOKING: "{organization}: حُجزت زيارتك بالفيديو في {time} {timeZone}. للانضمام: {link}{help} {optOut}",
            Occasion.CHANGE: "{organization}: موعد زيارتك بالفيديو الآن {time} {timeZone}. للانضمام: {link}{help} {optOut}",
            Occasion.CANCELLATION: "{organization}: أُلغيت زيارتك بالفيديو في {time} {timeZone}.{help} {optOut}",
            Occasion.REMINDER: "{organization}: تذكير بزيارتك بالفيديو في {time} {timeZone}. للانضمام: {link}{help} {optOut}",
            Occasion.LINK: "{organization}: زيارتك بالفيديو، {time} {timeZone}. للانضمام: {link}{help} {optOut}",
        },
        subjects={
            Occasion.BOOKING: "{organization}: زيارتك بالفيديو",
            Occasion.CHANGE: "{organization}: تغيّر موعد زيارتك بالفيديو",
            Occasion.CANCELLATION: "{organization}: أُلغيت زيارتك بالفيديو",
            Occasion.REMINDER: "{organization}: تذكير بزيارتك بالفيديو",
            Occasion.LINK: "{organization}: رابط زيارتك بالفيديو",
        },
        opt_out="أرسل STOP لإلغاء الاشتراك.",
        help=" للمساعدة: {helpPhone}.",
        help_answer="{organization}: رسائل عن زياراتك بالفيديو.{help} {optOut}",
        begin="\N{RIGHT-TO-LEFT MARK}",
        before_number="\N{LEFT-TO-RIGHT MARK}",
    ),
}
