"""Is there room for a batch in the budgets, and if not, for its answers without any question to a classifier?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from core.batches.pieces import rows_by_bytes
from core.costs.budgets import OverBudgetError
from core.costs.bulk import remembered_prices, reserve_batch, worst_of
from core.execution.fallbacks import chain_of
from core.models import Batch, BatchRow, Call
from core.routing.choose import models_of
from core.routing.reserving import NO_ROOM

# Rows that are read and written at once.
CHUNK = 500


def reserve(batch: Batch) -> None:
    """Reserve the worst case of all rows, or raise `OverBudgetError`.

    Where there is room for the answers but not for the classifiers' questions as well, none is asked and the default
    labels count, as with a single call. Belongs into the transaction that starts the batch.
    """
    try:
        with transaction.atomic():
            reserve_batch(batch)
    except OverBudgetError:
        if not _leave_out_questions(batch):
            raise
        reserve_batch(batch)


def _leave_out_questions(batch: Batch) -> bool:
    """Let no row ask a classifier; False where none would have."""
    chain = chain_of(batch.key, batch.prompt).models if batch.live else ()
    worst = partial(worst_of, prices=remembered_prices(), batch=not batch.live)
    found = False
    for chunk in rows_by_bytes(BatchRow.objects.filter(batch=batch).select_related("call"), CHUNK):
        asking = [row for row in chunk if (row.call.routing or {}).get("classifiers")]
        for row in asking:
            _ask_nobody(row, chain, worst)
        Call.objects.bulk_update([row.call for row in asking], ["routing"])
        BatchRow.objects.bulk_update(asking, ["worst"])
        found = found or bool(asking)
    return found


def _ask_nobody(row: BatchRow, chain: tuple[str, ...], worst: Callable[..., Decimal | None]) -> None:
    kept: Mapping[str, Any] = row.call.routing or {}
    request = json.loads(row.body) if row.body else row.call.request
    row.worst = worst((*models_of(kept), *chain), request)
    row.call.routing = {**kept, "forbidden": NO_ROOM}
