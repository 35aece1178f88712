"""Has this program asked for the very same before, so that one call and one bill do for both?

It says so by naming its request (`Idempotency-Key`), or an official SDK does by saying that it tries again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core.models import Call, IdempotencyToken, Key

# An SDK tries again within seconds or minutes; later the same body is a new question.
RETRIED_WITHIN = dt.timedelta(minutes=15)
# Seconds between two looks at a call that is still at work: at first, and at most.
FIRST_LOOK = 0.05
LAST_LOOK = 1.0


class AnotherBodyError(ValueError):
    """The name of a request was used before, for another body."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used within the last 24 hours with another body.")


def named(key: Key, token: str, digest: str, make: Callable[[], Call]) -> tuple[Call, bool]:
    """The call that `token` names, made by `make` where there is none yet; True says that it is an earlier one.

    A call that ended at no cost for a reason that passes is not an answer to keep: it is made anew. Raises
    `AnotherBodyError`, and what `make` raises.
    """
    while True:
        row = IdempotencyToken.objects.select_related("call").filter(key=key, token=token).first()
        if row is not None and row.created_at > timezone.now() - IdempotencyToken.REMEMBERED:
            if row.digest != digest:
                raise AnotherBodyError
            if not may_be_made_anew(row.call):
                return row.call, True
        try:
            with transaction.atomic():
                call = make()
                if _name(key, token, digest, call, row):
                    return call, False
                # Somebody named it meanwhile: their call counts, and this one was never stored.
                transaction.set_rollback(True)
        except IntegrityError:
            if not IdempotencyToken.objects.filter(key=key, token=token).exists():
                raise


def retried(key: Key, digest: str) -> Call | None:
    """The earlier call that a retry of an SDK asks for again, at work or with an answer; a failed one is none."""
    since = timezone.now() - RETRIED_WITHIN
    alive = [Call.Status.QUEUED, Call.Status.RUNNING, Call.Status.SUCCEEDED]
    earlier = Call.objects.filter(key=key, request_digest=digest, created_at__gt=since, status__in=alive)
    return earlier.order_by("-created_at").first()


def may_be_made_anew(call: Call) -> bool:
    """Whether it ended without an answer and without a bill, so that trying again is what the program wants."""
    if call.status not in {Call.Status.FAILED, Call.Status.DEAD, Call.Status.CANCELED}:
        return False
    final = call.status == Call.Status.FAILED and call.sent_at is not None
    return not final and not call.cost_records.exists()


def wait_for_end(call: Call, seconds: float) -> Call:
    """The call once it has ended, or as it is after so many seconds; holds no database connection meanwhile."""
    deadline, pause = time.monotonic() + seconds, FIRST_LOOK
    while not call.finished and time.monotonic() < deadline:
        if not connection.in_atomic_block:
            connection.close()
        time.sleep(pause)
        pause = min(LAST_LOOK, pause * 1.5)
        status = Call.objects.filter(pk=call.pk).values_list("status", flat=True).first()
        if status in Call.FINISHED:
            call.refresh_from_db()
    return call


def _name(key: Key, token: str, digest: str, call: Call, row: IdempotencyToken | None) -> bool:
    values: dict[str, Any] = {"call": call, "digest": digest, "created_at": timezone.now()}
    if row is None:
        IdempotencyToken.objects.create(key=key, token=token, **values)
        return True
    return bool(IdempotencyToken.objects.filter(pk=row.pk, call_id=row.call_id).update(**values))
