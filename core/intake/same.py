"""Has this program asked for the very same before, so that one call and one bill do for both?

It says so by naming its request (`Idempotency-Key`), or an official SDK does by saying that it tries again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.claude.errors import is_spend_limit
from core.execution.trying import LEFT
from core.models import Call, IdempotencyToken, Key

# An SDK tries again within seconds or minutes; later the same body is a new question.
RETRIED_WITHIN = dt.timedelta(minutes=15)
# Seconds between two looks at a call that is still at work: at first, and at most.
FIRST_LOOK = 0.05
LAST_LOOK = 1.0
# What Claude says of a request itself.
FOR_GOOD = frozenset({400, 404, 413, 422})


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
        earlier = _answering(row, digest)
        if earlier is not None:
            return earlier, True
        call = _make(key, token, digest, make, row)
        if call is not None:
            return call, False


def _answering(row: IdempotencyToken | None, digest: str) -> Call | None:
    """The call that has this name and answers for it; None where there is none, or it is to be made anew."""
    if row is None or row.created_at <= timezone.now() - IdempotencyToken.REMEMBERED:
        return None
    if row.digest != digest:
        raise AnotherBodyError
    return None if may_be_made_anew(row.call) else row.call


def _make(key: Key, token: str, digest: str, make: Callable[[], Call], row: IdempotencyToken | None) -> Call | None:
    """A call of this name, which `row` had before; None where somebody else was first, whose call counts."""
    call = None
    try:
        with transaction.atomic():
            call = make()
            if _name(key, token, digest, call, row):
                return call
            # This one was never stored.
            transaction.set_rollback(True)
    except Exception:
        named = IdempotencyToken.objects.filter(key=key, token=token).values_list("call_id", flat=True).first()
        if call is not None and named == call.pk:
            # It was committed, and only the answer to that was lost.
            return call
        # Who was first has the name now, and may have taken the last of a budget for this very request.
        if named is None or named == (row and row.call_id):
            raise
    return None


def retried(key: Key, digest: str) -> Call | None:
    """The earlier call that a retry of an SDK asks for again: at work, with an answer, or failed and perhaps billed.

    The newest counts: had that failed at no cost, its program knows so, and wants another.
    """
    since = timezone.now() - RETRIED_WITHIN
    same = Call.objects.filter(key=key, request_digest=digest, created_at__gt=since)
    earlier = same.order_by("-created_at").first()
    return None if earlier is None or may_be_made_anew(earlier) else earlier


def may_be_made_anew(call: Call) -> bool:
    """Whether it ended without an answer and without a bill, so that trying again is what the program wants.

    A bill does not matter where the program itself had it stopped.
    """
    if call.status not in {Call.Status.FAILED, Call.Status.DEAD, Call.Status.CANCELED}:
        return False
    if call.error_type == LEFT:
        # It was stopped because its program left, as its key says; and here that is again.
        return True
    return not _lies_in_the_request(call) and not call.cost_records.exists()


def _lies_in_the_request(call: Call) -> bool:
    """Whether Claude would say the same again: not where this server's own key, leave or spend limit was the matter."""
    if call.status != Call.Status.FAILED or call.sent_at is None:
        return False
    return call.error_status in FOR_GOOD and not is_spend_limit(call.error_message)


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
