"""What the tests of the reports share: one call, and records of it that cost what one likes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from core.models import Call, CostRecord, PendingRollup

MakeRecord = Callable[..., CostRecord]


@pytest.fixture
def call(db: None) -> Call:
    return Call.objects.create(status=Call.Status.SUCCEEDED, attempt=1, model="claude-haiku-5-5")


@pytest.fixture
def spent(call: Call) -> MakeRecord:
    """Makes a pending record of `amount` (None: unknown) that counts for `day`, as the ledger does."""

    def make(amount: str | None, day: dt.date | None = None, **values: Any) -> CostRecord:
        number = CostRecord.objects.count()
        with transaction.atomic():
            record = CostRecord.objects.create(
                **{
                    "call": call,
                    "request_id": f"req_{number}_{id(call)}",
                    "model": call.model,
                    "booked_on": day or timezone.localdate(),
                    "amount": None if amount is None else Decimal(amount),
                    "unknown_reason": "" if amount is not None else "Claude's report of the usage never came",
                    "input_tokens": 100 if amount is not None else None,
                    "output_tokens": 20 if amount is not None else None,
                    **values,
                }
            )
            PendingRollup.objects.create(record=record)
        return record

    return make
