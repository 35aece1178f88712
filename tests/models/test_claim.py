"""Which calls does a worker get, and which are not for it to run?"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.execution.claiming import claim
from core.models import Call, calls, direct, round_trip, shared
from core.models.round_trip import Done

LEASE, MINUTE = dt.timedelta(seconds=30), dt.timedelta(minutes=1)
Status, Lane = Call.Status, Call.Lane


@pytest.mark.parametrize(
    ("status", "lane", "wait", "taken"),
    [
        (Status.QUEUED, Lane.QUEUE, None, True),
        (Status.QUEUED, Lane.SYNC, None, True),
        (Status.WAITING, Lane.QUEUE, -MINUTE, True),
        (Status.WAITING, Lane.QUEUE, MINUTE, False),
        (Status.WAITING, Lane.QUEUE, None, False),
        (Status.RUNNING, Lane.QUEUE, None, False),
        (Status.SUCCEEDED, Lane.QUEUE, None, False),
        (Status.CANCELED, Lane.QUEUE, None, False),
        # A job that was put into the queue twice must not send what goes with a batch, which would be paid twice.
        (Status.QUEUED, Lane.BATCH, None, False),
        (Status.WAITING, Lane.BATCH, -MINUTE, False),
    ],
)
def test_a_call_is_claimed_once_and_only_where_it_is_to_run(
    db: None, status: str, lane: str, wait: dt.timedelta | None, taken: bool
) -> None:
    not_before = None if wait is None else timezone.now() + wait
    call = Call.objects.create(status=status, lane=lane, not_before=not_before)
    claimed = Call.objects.claim(call.pk, LEASE)
    assert (claimed is not None) is taken
    assert Call.objects.claim(call.pk, LEASE) is None
    call.refresh_from_db()
    assert call.status == (Status.RUNNING if taken else status)


def test_whoever_stood_still_after_a_claim_does_not_run_what_another_process_has_by_then(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may be put to sleep between two statements for longer than a lease."""
    call = Call.objects.create()
    run = round_trip.run_each

    def and_stands_still(*given: Any) -> list[Done]:
        done = run(*given)
        Call.objects.filter(pk=call.pk).update(lease_token="another's")
        return done

    monkeypatch.setattr(calls, "run_each", and_stands_still)

    assert Call.objects.claim(call.pk, LEASE) is None


def test_several_are_claimed_as_each_would_be(db: None) -> None:
    calls = [Call.objects.create() for _ in range(3)]
    for_a_batch = Call.objects.create(lane=Lane.BATCH)
    Call.objects.filter(pk=calls[1].pk).update(status=Status.RUNNING)

    found = Call.objects.claim_all([calls[2].pk, calls[1].pk, for_a_batch.pk, calls[0].pk], LEASE)

    assert [each and each.pk for each in found] == [calls[2].pk, None, None, calls[0].pk]
    tokens = {each.lease_token for each in found if each}
    assert len(tokens) == 2
    assert set(Call.objects.filter(attempt=1).values_list("lease_token", flat=True)) == tokens


@pytest.mark.django_db(transaction=True)
def test_threads_that_reach_for_the_same_calls_share_them_out() -> None:
    calls = [Call.objects.create().pk for _ in range(40)]
    start = threading.Barrier(12)

    def reach(which: int) -> list[uuid.UUID]:
        """All of them, each thread in an order of its own."""
        start.wait(30)
        try:
            return [found.pk for found in map(claim, calls[which:] + calls[:which]) if found]
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        taken = [pk for found in pool.map(reach, range(12)) for pk in found]

    assert sorted(taken) == sorted(calls)
    assert set(Call.objects.values_list("attempt", flat=True)) == {1}


def test_changes_made_together_are_those_that_each_would_have_been(db: None) -> None:
    calls = [Call.objects.create(status=Status.RUNNING, lease_token=f"token {number}") for number in range(4)]
    Call.objects.filter(pk=calls[1].pk).update(lease_token="somebody else's")
    values: list[dict[str, Any]] = [{"reason": "first"}, {"reason": "lost"}, {"text": "other"}, {"reason": "last"}]

    changes = [
        direct.Change(call, {"lease_token": call.lease_token}, change)
        for call, change in zip(calls, values, strict=True)
    ]
    assert shared.make_all(changes) == [True, False, True, True]

    stored = {call.pk: (call.reason, call.text) for call in Call.objects.all()}
    assert [stored[call.pk] for call in calls] == [("first", ""), ("", ""), ("", "other"), ("last", "")]
    assert [(call.reason, call.text) for call in calls] == [stored[call.pk] for call in calls]
    assert shared.make(changes[0])
