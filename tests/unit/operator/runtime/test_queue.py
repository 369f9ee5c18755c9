"""The work queue: each object once, the urgent first, none twice at a time."""

from __future__ import annotations

from ehr_operator.runtime.model import Key
from ehr_operator.runtime.queue import Priority, WorkQueue

A, B, C, D = (Key("Widget", "lamna", name) for name in "abcd")


def taken(queue: WorkQueue, now: float) -> list[Key]:
    """Take everything that is due, in order; nothing of it is done."""
    keys: list[Key] = []
    while (work := queue.take(now=now)) is not None:
        keys.append(work.key)
    return keys


def test_an_object_that_is_asked_for_often_is_handed_out_once() -> None:
    queue = WorkQueue()
    for _ in range(3):
        queue.add(A, Priority.CHANGE, now=0.0)

    assert len(queue) == 1
    assert taken(queue, 0.0) == [A]
    assert len(queue) == 0


def test_deletions_go_before_changes_before_retries_before_periodic_looks() -> None:
    queue = WorkQueue()
    for key, priority in zip((A, B, C, D), reversed(Priority), strict=True):
        queue.add(key, priority, now=0.0)

    assert taken(queue, 0.0) == [D, C, B, A]


def test_equally_urgent_objects_are_taken_in_the_order_in_which_they_came() -> None:
    queue = WorkQueue()
    for key in (C, A, D, B):
        queue.add(key, Priority.CHANGE, now=0.0)

    assert taken(queue, 0.0) == [C, A, D, B]


def test_urgency_does_not_hasten_what_is_not_due() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.DELETION, now=0.0, after_s=5.0)
    queue.add(B, Priority.PERIODIC, now=0.0)

    assert taken(queue, 4.0) == [B]
    assert taken(queue, 5.0) == [A]


def test_a_more_urgent_request_for_the_same_moment_raises_the_urgency() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.PERIODIC, now=0.0)
    queue.add(B, Priority.CHANGE, now=0.0)
    queue.add(A, Priority.DELETION, now=0.0)

    assert taken(queue, 0.0) == [A, B]


def test_a_less_urgent_request_for_the_same_moment_lowers_nothing() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.DELETION, now=0.0)
    queue.add(B, Priority.CHANGE, now=0.0)
    queue.add(A, Priority.PERIODIC, now=0.0)

    assert taken(queue, 0.0) == [A, B]


def test_an_earlier_request_replaces_a_later_one() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.PERIODIC, now=0.0, after_s=600.0)
    queue.add(A, Priority.CHANGE, now=1.0)

    assert taken(queue, 1.0) == [A]
    queue.done(A, now=2.0)
    assert taken(queue, 1000.0) == []


def test_a_later_request_leaves_the_earlier_one_as_it_is() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.CHANGE, now=0.0, after_s=1.0)
    queue.add(A, Priority.PERIODIC, now=0.0, after_s=600.0)

    assert queue.next_due_s(now=0.0) == 1.0
    assert taken(queue, 1.0) == [A]
    queue.done(A, now=1.0)
    assert queue.next_due_s(now=1.0) is None


def test_an_object_that_is_worked_on_is_not_handed_out_again() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]

    queue.add(A, Priority.DELETION, now=1.0)

    assert taken(queue, 100.0) == []
    assert (queue.active, len(queue)) == (1, 1)


def test_what_is_asked_for_during_the_work_is_due_at_its_end() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.add(A, Priority.CHANGE, now=1.0)

    queue.done(A, now=2.0)

    assert queue.next_due_s(now=2.0) == 0.0
    assert taken(queue, 2.0) == [A]
    queue.done(A, now=3.0)
    assert taken(queue, 100.0) == []


def test_of_the_requests_during_the_work_the_earliest_counts() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.add(A, Priority.PERIODIC, now=1.0, after_s=600.0)
    queue.add(A, Priority.RETRY, now=1.0, after_s=10.0)
    queue.add(A, Priority.PERIODIC, now=1.0, after_s=300.0)

    queue.done(A, now=2.0)

    assert queue.next_due_s(now=2.0) == 9.0
    assert taken(queue, 11.0) == [A]


def test_the_pause_between_two_starts_takes_changes_together() -> None:
    queue = WorkQueue(min_interval_s=2.0)
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.done(A, now=0.5)

    queue.add(A, Priority.CHANGE, now=0.6)
    queue.add(A, Priority.CHANGE, now=1.5)

    assert queue.next_due_s(now=1.5) == 0.5
    assert taken(queue, 1.9) == []
    assert taken(queue, 2.0) == [A]


def test_the_pause_holds_for_requests_during_the_work_too() -> None:
    queue = WorkQueue(min_interval_s=2.0)
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.add(A, Priority.DELETION, now=0.25)
    queue.done(A, now=0.5)

    assert taken(queue, 1.9) == []
    assert taken(queue, 2.0) == [A]


def test_the_pause_of_one_object_does_not_delay_another() -> None:
    queue = WorkQueue(min_interval_s=2.0)
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]

    queue.add(B, Priority.CHANGE, now=0.5)

    assert taken(queue, 0.5) == [B]


def test_a_forgotten_object_that_comes_again_needs_no_pause() -> None:
    queue = WorkQueue(min_interval_s=2.0)
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.done(A, now=0.25)

    queue.forget(A)
    queue.add(A, Priority.CHANGE, now=0.5)

    assert taken(queue, 0.5) == [A]


def test_the_time_until_something_is_due_is_told() -> None:
    queue = WorkQueue()
    assert queue.next_due_s(now=0.0) is None
    queue.add(A, Priority.RETRY, now=0.0, after_s=30.0)
    queue.add(B, Priority.PERIODIC, now=0.0, after_s=20.0)

    assert queue.next_due_s(now=5.0) == 15.0
    queue.add(B, Priority.CHANGE, now=5.0, after_s=1.0)
    assert queue.next_due_s(now=5.0) == 1.0
    assert queue.next_due_s(now=7.0) == 0.0


def test_the_wait_is_counted_from_the_moment_something_was_due() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.RETRY, now=0.0, after_s=30.0)

    work = queue.take(now=31.5)

    assert work is not None
    assert work.waited_s == 1.5


def test_a_deletion_overtakes_what_its_object_waited_for_and_everything_else() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.PERIODIC, now=0)
    queue.add(B, Priority.CHANGE, now=0)
    queue.add(A, Priority.DELETION, now=1)

    work = queue.take(now=1)

    assert work is not None
    assert work.key == A


def test_a_server_has_no_more_than_its_most_and_the_others_are_not_held_up() -> None:
    queue = WorkQueue(host_of={A: "x", B: "x", C: "x", D: "y"}.get, most_at_host=2)
    for key in (A, B, C, D):
        queue.add(key, Priority.CHANGE, now=0.0)

    assert taken(queue, 0.0) == [A, B, D]
    assert queue.next_due_s(now=0.0) is None
    queue.done(B, now=1.0)
    assert taken(queue, 1.0) == [C]


def test_the_most_urgent_of_those_that_a_server_holds_up_comes_next() -> None:
    queue = WorkQueue(host_of=lambda _: "x")
    for key, priority in ((A, Priority.CHANGE), (B, Priority.PERIODIC), (C, Priority.DELETION)):
        queue.add(key, priority, now=0.0 if key is A else 1.0)
        taken(queue, 0.0)
    taken(queue, 1.0)

    queue.done(A, now=1.0)

    assert taken(queue, 1.0) == [C]


def test_a_request_that_was_replaced_while_a_server_held_it_up_does_not_hide_the_next_one() -> None:
    queue = WorkQueue(host_of=lambda _: "x")
    queue.add(A, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == [A]
    queue.add(B, Priority.RETRY, now=0.0)
    queue.add(C, Priority.PERIODIC, now=0.0)
    assert taken(queue, 0.0) == []
    queue.add(B, Priority.CHANGE, now=0.0)
    assert taken(queue, 0.0) == []
    queue.done(A, now=0.0)
    assert taken(queue, 0.0) == [B]

    queue.done(B, now=0.0)

    assert queue.next_due_s(now=0.0) == 0.0
    assert taken(queue, 0.0) == [C]
