"""How far is a batch: how many rows are done, have failed and wait, and what did they cost so far?"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Q, Sum

from core.batches.live import counts_of
from core.models import Batch, BatchPart, Call, CostRecord


@dataclass(frozen=True)
class Progress:
    """Of a batch's rows. `waiting` have not ended; `unknown` of those that have, cost nobody knows what."""

    rows: int
    answered: int
    failed: int
    canceled: int
    spent: Decimal
    unknown: int

    @property
    def done(self) -> int:
        return self.answered + self.failed + self.canceled

    @property
    def waiting(self) -> int:
        return self.rows - self.done

    @property
    def percent(self) -> int:
        """Rounded down, so that only what is whole looks whole."""
        return self.done * 100 // self.rows if self.rows else 0


def progress_of(batch: Batch) -> Progress:
    """As it is now. A batch at Claude counts its rows in the transactions that end them; a live one's are counted."""
    if not batch.live or batch.over:
        failed = batch.errored + batch.expired
        return Progress(batch.rows, batch.succeeded, failed, batch.canceled, batch.spent, batch.unknown)
    counts = counts_of(batch)
    costs = CostRecord.objects.filter(call__batch_row__batch=batch).aggregate(
        spent=Sum("amount"), unknown=Count("pk", filter=Q(amount=None, correction=None))
    )
    return Progress(
        batch.rows,
        counts.get(Call.Status.SUCCEEDED, 0),
        counts.get(Call.Status.FAILED, 0) + counts.get(Call.Status.DEAD, 0),
        counts.get(Call.Status.CANCELED, 0),
        costs["spent"] or Decimal(0),
        costs["unknown"],
    )


def asks_a_person(batch: Batch) -> bool:
    """Whether a part of it waits for an operator's decision."""
    return BatchPart.objects.filter(batch=batch, state=BatchPart.State.ASKS).exists()
