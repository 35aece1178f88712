"""How is a cost filled in or put right? By a further record that carries the difference; nothing is ever changed.

How corrections enter sums is told at `CostRecord`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.claude.usage import read_usage
from core.costs import budgets
from core.costs.compute import Cost
from core.costs.ledger import Priced, add, booking_day, price_usage, tokens_of
from core.models import Call, CostRecord, User

Source = CostRecord.Source
# Columns that say what a record was for; a correction was for the same.
_SAME = (
    "call_id", "attempt", "purpose", "user_id", "prompt_id", "key_id", "team_id", "cost_centre", "lane", "model",
    "demo",
)  # fmt: skip


class CorrectionError(ValueError):
    """This cannot be entered; the message says why, for whoever wanted it."""


def standing(record: CostRecord) -> Decimal | None:
    """What its exchange costs by all that is known now, in USD: the sum of the chain, or None while it is unknown."""
    chain = record.chain()
    if chain[-1].amount is None:
        return None
    return sum((each.amount for each in chain if each.amount is not None), Decimal(0))


def correct(record: CostRecord, amount: Decimal, note: str, by: User) -> CostRecord:
    """Put a known amount right by hand: `amount` is the whole of what the exchange cost.

    `record` must be the newest of its chain. Raises `CorrectionError`.
    """
    with transaction.atomic():
        chain = _newest(record)
        before = standing(record)
        if before is None:
            raise CorrectionError("This amount is unknown: fill it in instead.")
        if amount == before:
            raise CorrectionError("This is what it costs already.")
        corrected = _add(chain, Priced(Cost(_sound(amount))), note=note, by=by)
        budgets.settle(record.call_id)
    return corrected


def fill_unknown(
    record: CostRecord,
    *,
    note: str,
    by: User | None = None,
    amount: Decimal | None = None,
    usage: dict[str, Any] | None = None,
    source: str = Source.BY_HAND,
) -> CostRecord:
    """Say what an unknown cost came to: `amount` in USD, or the usage in the API's shape, priced for that day.

    `by` may be missing where `source` is not by hand. Raises `CorrectionError`, also where the usage has no price.
    """
    with transaction.atomic():
        chain = _newest(record)
        if standing(record) is not None:
            raise CorrectionError("This amount is known already: put it right instead.")
        priced = _of_usage(record, usage) if usage is not None else Priced(Cost(_sound(amount)))
        filled = _add(chain, priced, note=note, by=by, source=source, usage=usage)
        budgets.settle(record.call_id)
    return filled


def reprice(records: Iterable[CostRecord], by: User | None, note: str) -> list[CostRecord]:
    """Price the same usage anew, at what the price book has now for the day of the exchange.

    Answers the new records: none for what costs the same, has no usage, or has no price now either.
    """
    with transaction.atomic():
        # Calls are locked in the order of their keys, by everybody.
        tried = [_reprice(record, by, note) for record in sorted(records, key=lambda record: record.call_id)]
        new = [record for record in tried if record is not None]
        # Last, for all calls of a budget share its row.
        for call_id in sorted({record.call_id for record in new}):
            budgets.settle(call_id)
    return new


def _reprice(record: CostRecord, by: User | None, note: str) -> CostRecord | None:
    chain = _newest(record)
    # What came of a broken stream was never priced; the tokens of a late answer may have been told before it.
    whole = [each for each in chain if each.raw_usage and (each.input_tokens is not None or each.rates is not None)]
    usage = read_usage(whole[-1].raw_usage or {}) if whole else None
    priced = price_usage(record.model, usage, chain[0].at)
    if priced.cost.amount is None or priced.cost.amount == standing(record):
        return None
    return _add(chain, priced, note=note, by=by, source=Source.REPRICED)


def _newest(record: CostRecord) -> list[CostRecord]:
    """Its chain, held until the transaction ends; raises `CorrectionError` unless `record` is the last of it."""
    Call.objects.select_for_update(no_key=True).get(pk=record.call_id)
    record.refresh_from_db()
    if record.corrected_by is not None:
        raise CorrectionError("Somebody has put this record right already: look at the newest one.")
    return record.chain()


def _add(
    chain: list[CostRecord],
    priced: Priced,
    *,
    note: str,
    by: User | None,
    source: str = Source.BY_HAND,
    usage: dict[str, Any] | None = None,
) -> CostRecord:
    if not note.strip():
        raise CorrectionError("Say why, in a note.")
    if source == Source.BY_HAND and by is None:
        raise CorrectionError("Somebody must answer for what is entered by hand.")
    now = timezone.now()
    # Tokens are told once in a chain, so that their sums stay right too.
    told = any(record.input_tokens is not None for record in chain)
    return add(
        CostRecord(
            at=now,
            booked_on=booking_day(timezone.localdate(chain[0].at), timezone.localdate(now)),
            corrects=chain[-1],
            source=source,
            note=note.strip(),
            entered_by=by,
            raw_usage=usage,
            **{name: getattr(chain[-1], name) for name in _SAME},
            **tokens_of(read_usage(usage) if usage and not told else None),
            **priced.columns(chain),
        )
    )


def _of_usage(record: CostRecord, usage: dict[str, Any]) -> Priced:
    read = read_usage(usage)
    if read is None:
        raise CorrectionError("The usage must name input_tokens and output_tokens.")
    priced = price_usage(record.model, read, record.chain()[0].at)
    if priced.cost.amount is None:
        raise CorrectionError(f"This usage cannot be priced: {priced.cost.unknown_reason}.")
    return priced


def _sound(amount: Decimal | None) -> Decimal:
    if amount is None or amount < 0:
        raise CorrectionError("An amount is zero or more.")
    return amount
