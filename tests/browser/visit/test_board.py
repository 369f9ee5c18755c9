"""The board in the EHR's frame: two charts, a reload, a lost connection."""

from __future__ import annotations

from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import WITH_BANNER, Hospital, into_lobby
from playwright.sync_api import BrowserContext, expect


def test_two_charts_side_by_side_stay_two_patients(hospital: Hospital, chart: OpenChart, phone: OpenPhone) -> None:
    first, second = hospital.book("Rosa", "Quillfeather"), hospital.book("Iris", "Tamblyn")
    left, right = chart(), chart()
    left.open(first, WITH_BANNER).signed_in()
    right.open(second, WITH_BANNER).signed_in()

    left.document.evaluate("location.reload()")
    expect(left.frame.locator(".banner")).to_contain_text("Quillfeather")
    expect(right.frame.locator(".banner")).to_contain_text("Tamblyn")
    for one, visit in ((left, first), (right, second)):
        one.frame.locator("summary").first.click()
        expect(one.frame.get_by_label("Patient's link").first).to_have_value(visit.patient_link)

    into_lobby(phone(), second.patient_link, "Iris")

    right.status("Patient is waiting in the lobby")
    left.status("Link not sent")
    teams = left.into_teams()
    expect(teams.get_by_text("Nobody is waiting.")).to_be_visible()
    expect(right.into_teams().get_by_role("button", name="Admit Iris")).to_be_visible()


def test_a_reload_of_the_frame_shows_the_same_board(hospital: Hospital, chart: OpenChart) -> None:
    board = chart().open(hospital.book()).signed_in()
    address = board.document.url

    with board.page.expect_event("framenavigated"):
        board.document.evaluate("location.reload()")

    board.shows("Video visits")
    board.status("Link not sent")
    assert board.document.url == address


def test_a_lost_connection_is_said_and_what_was_missed_is_caught_up(
    hospital: Hospital, desk: BrowserContext, chart: OpenChart, phone: OpenPhone
) -> None:
    visit = hospital.book()
    board = chart().open(visit).signed_in()
    lost = board.frame.get_by_text("The connection was lost.")
    board.status("Link not sent")
    expect(lost).to_be_hidden()

    desk.set_offline(True)
    # What is being received already goes on for a browser that is told to be offline.
    hospital.do(hospital.world.restart())
    expect(lost).to_be_visible()
    into_lobby(phone(), visit.patient_link, "Rosa")
    board.status("Link not sent")
    desk.set_offline(False)

    board.status("Patient is waiting in the lobby")
    expect(lost).to_be_hidden()


def test_a_guests_link_is_made_used_and_revoked(hospital: Hospital, chart: OpenChart, phone: OpenPhone) -> None:
    visit = hospital.book()
    board = chart().open(visit).signed_in()
    board.frame.locator("summary").click()
    board.frame.get_by_role("button", name="Invite an interpreter").click()
    expect(board.frame.get_by_text("The new link is below.")).to_be_visible()
    link = board.frame.get_by_label("Interpreter's link").first.input_value()
    guest = phone()
    guest.goto(link)
    expect(guest.get_by_text("You are invited as the interpreter.")).to_be_visible()

    board.frame.get_by_role("button", name="Revoke").click()
    expect(board.frame.get_by_text("The link does not work any more.")).to_be_visible()
    guest.get_by_role("button", name="Join the visit").click()

    expect(guest.get_by_role("heading", level=1)).to_have_text("This link is no longer valid")
    board.status("Link not sent")
