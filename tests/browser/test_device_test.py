"""The device test with a made-up camera and microphone, and without."""

from __future__ import annotations

import re

import pytest
from browser.conftest import OpenContext, Served
from playwright.sync_api import Page, expect

_WITHOUT = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.%s) throw new DOMException('none', 'NotFoundError');
  return real(wanted);
};
"""
_SILENT = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  setInterval(() => context.fillRect(0, 0, Math.random() * 9, 9), 100);
  const video = canvas.captureStream(5);
  const audio = new AudioContext().createMediaStreamDestination().stream;
  return new MediaStream([...video.getTracks(), ...audio.getTracks()]);
};
"""


def run(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Start the check").click()
    expect(page.locator("[data-device-test]")).to_have_attribute("data-result", re.compile("."), timeout=15_000)


def test_camera_microphone_and_connection_pass_and_the_clinic_gets_the_code(page: Page, site: Served) -> None:
    run(page, f"{site.url}/v/t")

    expect(page.get_by_text("Everything works. You are ready for your visit.")).to_be_visible()
    expect(page.get_by_label("Picture of your camera")).to_be_visible()
    site.hears(page, "opened", "device test passed")


_TRACKS = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.live = (kind) => (window.tracks || []).some((one) => one.kind === kind && one.readyState === 'live');
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await real(wanted);
  window.tracks = stream.getTracks();
  return stream;
};
"""


def test_after_the_result_nothing_listens_and_the_camera_goes_off_with_the_button_or_by_itself(
    page: Page, site: Served
) -> None:
    page.clock.install()
    page.add_init_script(_TRACKS)
    run(page, f"{site.url}/v/t")
    assert not page.evaluate("live('audio')")
    assert page.evaluate("live('video')")

    page.get_by_role("button", name="Stop").click()

    assert not page.evaluate("live('video')")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Check again")).to_be_focused()
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("[data-device-test]")).not_to_have_attribute("aria-busy", "true", timeout=15_000)
    page.clock.run_for(21_000)
    assert not page.evaluate("live('video')")


def test_a_check_that_is_stopped_tells_nobody_a_result(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US").new_page()
    page.add_init_script(_SILENT)
    page.goto(f"{site.url}/v/t")
    page.get_by_role("button", name="Start the check").click()
    expect(page.get_by_label("Picture of your camera")).to_be_visible()

    page.get_by_role("button", name="Stop").click()

    expect(page.locator("[data-device-test]")).not_to_have_attribute("aria-busy", "true")
    expect(page.get_by_label("Picture of your camera")).to_be_hidden()
    assert [one for one in site.visits.told if one.startswith("device test")] == []


def test_refused_devices_get_a_sentence_that_helps_and_joining_stays_possible(
    context: OpenContext, site: Served
) -> None:
    page = context(camera=False, locale="en-US").new_page()

    run(page, f"{site.url}/v/t")

    expect(page.get_by_text("Your browser was not allowed to use the camera or the microphone.")).to_be_visible()
    site.hears(page, "opened", "device test refused")
    page.get_by_role("button", name="Join the visit").click()
    expect(page).to_have_title("Lobby")


@pytest.mark.parametrize(
    ("script", "result", "says"),
    [
        (_WITHOUT % "video", "no_camera", "the clinic hears you without seeing you"),
        (_WITHOUT % "audio", "no_microphone", "No microphone was found."),
        (_SILENT, "silent", "The microphone gave no sound."),
        (
            "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})",
            "unsupported",
            "This browser cannot use",
        ),
    ],
    ids=["no camera", "no microphone", "a silent microphone", "a browser that cannot"],
)
def test_what_is_missing_is_named_and_joining_stays_possible(
    page: Page, site: Served, script: str, result: str, says: str
) -> None:
    page.add_init_script(script)

    run(page, f"{site.url}/v/t")

    expect(page.get_by_text(says)).to_be_visible()
    expect(page.get_by_role("button", name="Join the visit")).to_be_enabled()
    site.hears(page, "opened", f"device test {result}")


def test_a_lost_connection_is_named(page: Page, site: Served) -> None:
    page.route("**/icon.svg", lambda route: route.abort())

    run(page, f"{site.url}/v/t")

    expect(page.get_by_text("Your connection is weak.")).to_be_visible()
    site.hears(page, "opened", "device test no_connection")


def test_the_speaker_is_judged_by_the_person(page: Page, site: Served) -> None:
    run(page, f"{site.url}/v/t")

    page.get_by_role("button", name="Play a sound").click()
    page.get_by_role("button", name="I heard nothing").click()

    expect(page.get_by_text("Turn up the volume")).to_be_visible()


def test_the_devices_are_free_again_when_the_visit_begins(page: Page, site: Served) -> None:
    run(page, f"{site.url}/v/t")
    page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()")
    page.evaluate("document.querySelector('[data-join]').addEventListener('submit', (event) => event.preventDefault())")

    page.get_by_role("button", name="Join the visit").click()

    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended", "ended"]


def test_the_device_test_stands_alone_and_tells_nobody(page: Page, site: Served) -> None:
    run(page, f"{site.url}/device-test?record=lamna/lamna-test")

    expect(page.get_by_text("Everything works. You are ready for your visit.")).to_be_visible()
    assert site.visits.told == []


def test_a_camera_that_gives_no_picture_does_not_hold_the_test_up(page: Page, site: Served) -> None:
    page.add_init_script(_SILENT.replace("setInterval", "void"))

    run(page, f"{site.url}/v/t")

    site.hears(page, "opened", "device test no_camera")
