"""Which calls does a worker get, and which are not for it to run?"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from core.models import Call, direct

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
    cursor = direct.cursor

    def and_stands_still() -> Any:
        monkeypatch.setattr(direct, "cursor", cursor)
        return _Slow(cursor(), call)

    monkeypatch.setattr(direct, "cursor", and_stands_still)

    assert Call.objects.claim(call.pk, LEASE) is None


class _Slow:
    """A cursor after whose statement another process takes the call."""

    def __init__(self, cursor: Any, call: Call) -> None:
        self._cursor, self._call = cursor, call

    def __enter__(self) -> Any:
        return self._cursor.__enter__()

    def __exit__(self, *error: object) -> None:
        self._cursor.__exit__(*error)
        Call.objects.filter(pk=self._call.pk).update(lease_token="another's")
