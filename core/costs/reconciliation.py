"""Does the ledger say what the provider says a day cost?

The provider's day is the day in UTC, so both sides are cut at midnight UTC, whatever the installation's time zone. A
record that was put right counts with what it was put right to, on the day of the exchange itself. Demo records were
never billed and take no part.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from core.claude.errors import ClaudeError
from core.claude.organisation import reported_costs
from core.costs.corrections import CorrectionError, fill_unknown, standing
from core.costs.estimate import worst_case
from core.models import Call, CostRecord, Reconciliation, ReconciliationLine, User

Verdict = ReconciliationLine.Verdict
NOTHING = Decimal(0)
# Of more unknown costs of one model and day nobody works out what they can be at most.
MOST_LOOKED_AT = 500


@dataclass(frozen=True)
class Ours:
    """What the ledger has of one model: what is known, how many costs are not, and what those can be at most.

    `amount` is None without any known cost, `most_unknown` where there is no saying.
    """

    amount: Decimal | None = None
    unknown: int = 0
    most_unknown: Decimal | None = NOTHING


@dataclass(frozen=True)
class Line:
    """One model compared; amounts in USD."""

    model: str
    ours: Decimal | None
    theirs: Decimal | None
    unknown: int
    verdict: str


def compare(ours: Mapping[str, Ours], theirs: Mapping[str, Decimal], tolerance: Decimal) -> list[Line]:
    """A line for each model that either side knows, by name."""
    return [_line(model, ours.get(model, Ours()), theirs.get(model), tolerance) for model in sorted({*ours, *theirs})]


def _line(model: str, ours: Ours, theirs: Decimal | None, tolerance: Decimal) -> Line:
    return Line(model, ours.amount, theirs, ours.unknown, _verdict(ours, theirs, tolerance))


def _verdict(ours: Ours, theirs: Decimal | None, tolerance: Decimal) -> str:
    """The tolerance is for amounts that are off; a model that one side lacks is a difference however small it is."""
    more = (theirs or NOTHING) - (ours.amount or NOTHING)
    if more > 0 and ours.unknown and (ours.most_unknown is None or more <= ours.most_unknown + tolerance):
        return Verdict.UNKNOWN_HERE
    if more == 0:
        return Verdict.MATCHED
    if not theirs:
        return Verdict.OURS_ONLY
    if not ours.amount and not ours.unknown:
        return Verdict.THEIRS_ONLY
    return Verdict.MATCHED if abs(more) <= tolerance else Verdict.PRICE_DIFFERS


def bounds_of(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of this day in UTC, and that of the next."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return start, start + dt.timedelta(days=1)


def records_of(day: dt.date, model: str | None = None) -> QuerySet[CostRecord]:
    """The exchanges of this day, as first booked; what corrects them may be of any later day and is not among them."""
    start, end = bounds_of(day)
    records = CostRecord.objects.filter(at__gte=start, at__lt=end, demo=False, corrects=None)
    return records if model is None else records.filter(model=model)


def ours_of(day: dt.date) -> dict[str, Ours]:
    """What the ledger has of this day, per model."""
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    unknown: dict[str, int] = defaultdict(int)
    for model, known, count in _never_corrected(day):
        amounts[model] += [] if known is None else [known]
        unknown[model] += count
    for record, amount in _corrected(day):
        if amount is None:
            unknown[record.model] += 1
        else:
            amounts[record.model].append(amount)
    return {
        model: Ours(
            amount=sum(amounts[model], NOTHING) if amounts[model] else None,
            unknown=unknown[model],
            most_unknown=_at_most(day, model, unknown[model]),
        )
        for model in {*amounts, *unknown}
    }


def _never_corrected(day: dt.date) -> Iterable[tuple[str, Decimal | None, int]]:
    rows = records_of(day).filter(correction=None).order_by().values("model")
    counted = rows.annotate(known=Sum("amount"), unknown=Count("pk", filter=Q(amount=None)))
    return counted.values_list("model", "known", "unknown")


def _corrected(day: dt.date, model: str | None = None) -> Iterable[tuple[CostRecord, Decimal | None]]:
    """The exchanges that were put right, with what they stand at; they are few, so each may be followed to its end."""
    for record in records_of(day, model).filter(correction__isnull=False).select_related("correction"):
        yield record, standing(record)


def unknown_records(day: dt.date, model: str) -> list[CostRecord]:
    """The newest records of the exchanges of this day and model whose cost is unknown still: those to be filled in."""
    corrected = [record.chain()[-1] for record, amount in _corrected(day, model) if amount is None]
    return [*corrected, *records_of(day, model).filter(amount=None, correction=None).select_related("call")]


def _at_most(day: dt.date, model: str, unknown: int) -> Decimal | None:
    """What that many unknown costs can be together, or None where there is no saying."""
    if not unknown or unknown > MOST_LOOKED_AT:
        return None if unknown else NOTHING
    most = [_most_of(record) for record in unknown_records(day, model)]
    known = [amount for amount in most if amount is not None]
    return sum(known, NOTHING) if len(known) == len(most) else None


def _most_of(record: CostRecord) -> Decimal | None:
    if record.purpose != CostRecord.Purpose.ANSWER:
        return None
    day = record.at.astimezone(dt.UTC).date()
    return worst_case(record.model, record.call.request, day, batch=record.lane == Call.Lane.BATCH)


def reconcile(day: dt.date, tolerance: Decimal | None = None) -> Reconciliation:
    """Compare this day (in UTC) and store what was found; of several comparisons of a day the newest counts.

    Where the report cannot be had, that is stored as its `error` and nothing is raised.
    """
    allowed = settings.RECONCILE_TOLERANCE_USD if tolerance is None else tolerance
    try:
        theirs = reported_costs(day)
    except ClaudeError as error:
        return Reconciliation.objects.create(day=day, tolerance=allowed, error=str(error)[:500])
    lines = compare(ours_of(day), theirs, allowed)
    with transaction.atomic():
        made = Reconciliation.objects.create(day=day, tolerance=allowed)
        ReconciliationLine.objects.bulk_create(_stored(made, line) for line in lines)
    return made


def _stored(made: Reconciliation, line: Line) -> ReconciliationLine:
    return ReconciliationLine(
        reconciliation=made,
        model=line.model,
        ours=line.ours,
        theirs=line.theirs,
        unknown=line.unknown,
        verdict=line.verdict,
    )


def newest() -> QuerySet[Reconciliation]:
    """Of each day the comparison that counts."""
    later = Reconciliation.objects.filter(day=OuterRef("day"), pk__gt=OuterRef("pk"))
    return Reconciliation.objects.filter(~Exists(later))


def differing_lines() -> QuerySet[ReconciliationLine]:
    return ReconciliationLine.objects.exclude(verdict=Verdict.MATCHED)


def differences(made: Reconciliation) -> list[ReconciliationLine]:
    return list(differing_lines().filter(reconciliation=made))


@dataclass(frozen=True)
class Proposal:
    """The one record of unknown cost on a day and model, and the amount in USD that would make both sides agree."""

    record: CostRecord
    amount: Decimal


def proposal(line: ReconciliationLine) -> Proposal | None:
    """What the report says an unknown cost was, where it is the only one and so leaves no doubt; else None.

    Worked out from the ledger as it is now. Only of a day that is over, for the provider's report comes hours late; the
    simulator's is there at once.
    """
    made = line.reconciliation
    over = bounds_of(made.day)[1] <= timezone.now() or settings.SIMULATED
    if line.verdict != Verdict.UNKNOWN_HERE or not over or not newest().filter(pk=made.pk).exists():
        return None
    records = unknown_records(made.day, line.model)
    now = ours_of(made.day).get(line.model, Ours())
    amount = (line.theirs or NOTHING) - (now.amount or NOTHING)
    return Proposal(records[0], amount) if len(records) == 1 and amount > 0 else None


def fill_in(line: ReconciliationLine, by: User) -> CostRecord:
    """Book what `proposal` proposes, and answer the new record.

    Raises `CorrectionError` where there is nothing to propose any more, or somebody else was quicker.
    """
    proposed = proposal(line)
    if proposed is None:
        raise CorrectionError("There is no single unknown cost any more that the report would explain.")
    day = line.reconciliation.day
    note = f"The provider's report of {day} has this much more for {line.model} than the ledger had."
    source = CostRecord.Source.RECONCILED
    return fill_unknown(proposed.record, amount=proposed.amount, note=note, by=by, source=source)
