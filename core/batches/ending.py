"""How do the rows of a batch end: each once, with its cost, and what it reserved given back?"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Sum

from core.batches.leases import LEASE
from core.claude.errors import ClaudeError
from core.costs.bulk import Ended, remembered_prices, settle_ended
from core.costs.estimate import PricesOf
from core.costs.ledger import Exchange
from core.models import Batch, BatchPart, BatchRow, Call, CostRecord

log = logging.getLogger(__name__)

# Rows ended in one transaction: a window of a budget, which all calls share, is locked for its last milliseconds.
CHUNK = 500
_NEEDED = ["user_id", "key_id", "prompt_id", "lane", "attempt", "model", "status"]


@dataclass(frozen=True)
class Ending:
    """How one row ended: `counts` as the API calls it, the columns of its call, and what it was billed for, if it was.

    `result` are the API's own words where there is no message.
    """

    call_id: uuid.UUID
    counts: str
    values: Mapping[str, Any]
    exchange: Exchange | None = None
    result: dict[str, Any] | None = field(default=None)


def end_rows(part: BatchPart, endings: Sequence[Ending], prices: PricesOf) -> int:
    """End these rows and settle them, all in one transaction; those that had ended before are left as they are.

    Answers how many it ended. So a result that is collected twice, also by two processes at once, counts once.
    """
    with transaction.atomic():
        part.renew(LEASE)
        open_calls = _locked([ending.call_id for ending in endings])
        fresh = [ending for ending in endings if ending.call_id in open_calls]
        ended = [Ended(_changed(open_calls[ending.call_id], ending), ending.exchange) for ending in fresh]
        BatchRow.objects.end([each.call for each in ended])
        BatchRow.objects.keep_results([(e.call_id, e.result) for e in fresh if e.result is not None])
        spent, unknown = settle_ended(ended, prices)
        part.batch.count(spent, unknown, Counter(ending.counts for ending in fresh))
    return len(fresh)


def _locked(call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Call]:
    """Those that have not ended, locked in one order until the transaction ends."""
    working = Call.objects.filter(pk__in=call_ids, status__in=[Call.Status.QUEUED, Call.Status.RUNNING])
    return {call.pk: call for call in working.only(*_NEEDED).order_by("pk").select_for_update(no_key=True)}


def _changed(call: Call, ending: Ending) -> Call:
    whole: dict[str, Any] = {**_BLANK, "model": call.model, **ending.values}
    for name, value in whole.items():
        setattr(call, name, value)
    return call


_BLANK: Mapping[str, Any] = {
    "text": "",
    "content": [],
    "envelope": None,
    "stop_reason": "",
    "request_id": "",
    "error_type": "",
    "error_status": None,
    "error_message": "",
}


def refuse(part: BatchPart, error: ClaudeError) -> None:
    """Claude refused the whole part for good, so that nothing of it is billed: its rows failed with its words."""
    values = {
        "status": Call.Status.FAILED,
        "error_type": error.type[:60],
        "error_status": error.status,
        "error_message": error.message,
        "request_id": error.request_id,
    }
    said = {"type": "error", "error": {"type": error.type, "message": error.message}}
    _end_all(part, "errored", values, {"type": "errored", "error": said}, problem=str(error))


def end_unsent(part: BatchPart) -> None:
    """Cancel what has not been sent."""
    _end_all(part, "canceled", {"status": Call.Status.CANCELED}, {"type": "canceled"})


def give_up(part: BatchPart, why: str) -> None:
    """Nobody will ever know what became of these rows. They may have been billed: their cost is unknown."""
    values = {"status": Call.Status.DEAD, "error_type": "result_lost", "error_message": why}
    said = {"type": "error", "error": {"type": "api_error", "message": why}}
    _end_all(part, "errored", values, {"type": "errored", "error": said}, problem=why, billed=True)


def _end_all(
    part: BatchPart,
    counts: str,
    values: Mapping[str, Any],
    result: dict[str, Any],
    *,
    problem: str = "",
    billed: bool = False,
) -> None:
    prices = remembered_prices()
    for chunk in open_rows(part):
        exchanges = {call_id: Exchange(model=model) if billed else None for call_id, model in chunk}
        end_rows(part, [Ending(call_id, counts, values, exchanges[call_id], result) for call_id, _ in chunk], prices)
    close(part, problem)


def open_rows(part: BatchPart) -> Iterator[list[tuple[uuid.UUID, str]]]:
    """The calls of this part that have not ended and their models, in chunks that the caller ends one by one."""
    position = part.first - 1
    rows = BatchRow.objects.filter(batch_id=part.batch_id, position__lt=part.beyond).order_by("position")
    working = rows.filter(call__status__in=[Call.Status.QUEUED, Call.Status.RUNNING])
    while chunk := list(
        working.filter(position__gt=position).values_list("position", "call_id", "call__model")[:CHUNK]
    ):
        position = chunk[-1][0]
        yield [(call_id, model) for _, call_id, model in chunk]


def count_open(part: BatchPart) -> int:
    """How many calls of this part have not ended."""
    rows = BatchRow.objects.filter(batch_id=part.batch_id, position__gte=part.first, position__lt=part.beyond)
    return rows.filter(call__status__in=[Call.Status.QUEUED, Call.Status.RUNNING]).count()


def close(part: BatchPart, problem: str = "") -> None:
    """Every row of this part has ended; with the last part the batch has."""
    rows = BatchRow.objects.filter(batch_id=part.batch_id, position__gte=part.first, position__lt=part.beyond)
    # What was kept to be sent again has served.
    rows.exclude(body="").update(body="")
    with transaction.atomic():
        # Of two last parts, one waits here for the other.
        batch = Batch.objects.select_for_update().get(pk=part.batch_id)
        part.change(state=BatchPart.State.DONE, problem=problem[:500], lease_until=None)
        if batch.mark_ended():
            log.info("batch %s has ended", batch.public_id)
            sum_up(batch)


def sum_up(batch: Batch) -> None:
    """Say what all of its rows cost, classifiers' questions and corrections too."""
    records = CostRecord.objects.filter(call__batch_row__batch=batch)
    spent = records.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    Batch.objects.filter(pk=batch.pk).update(spent=spent, unknown=records.unknown().count())
