"""How does a table that a person has seen the price of become a batch: all of it once, or nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Sum
from django.utils import timezone

from core.batches.bodies import MOST_ROW_BYTES
from core.batches.pieces import MOST_BYTES
from core.batches.start import BadRowError, EmptyBatchError, OvertakenError, Row, start
from core.bulk.checking import LEASE, Alive
from core.bulk.newest import overtaken
from core.bulk.rendering import rendered
from core.bulk.sources import table_of
from core.bulk.tables import BadTableError, Table
from core.bulk.uploads import let_go
from core.costs.budgets import OverBudgetError
from core.costs.windows import window_of
from core.intake.again import close_letters
from core.intake.storing import UnreadableRequestError
from core.models import Batch, BatchRow, BulkRun, Call, Handling, SkippedLine
from core.routing.choose import UnknownModelError

LOOK = "Please look at it as it is now, and start it again."
OVERTAKEN = f"Some of these rows have an answer meanwhile, or are being run again. {LOOK}"
# Rows between two signs of life, and skipped lines that are written together.
CHUNK = 500


class ChangedError(Exception):
    """It is not what the person saw and said yes to; the text says what is different."""


def begin(run: BulkRun) -> None:
    """Write the rows down, reserve for all of them and let them go. This process has the run in hand.

    Where that breaks off, whoever takes the run up begins anew; what was written down then counts for nothing.
    """
    try:
        with table_of(run, Alive(run)) as table:
            _begin(run, table)
    except OverBudgetError as error:
        window = window_of(error.budget, timezone.localdate())
        run.mark_not_started(refused_by=window, refused_need=error.needed)
    except (BadTableError, UnreadableRequestError) as error:
        run.mark_not_started(problem=str(error)[:500])
    except ChangedError as error:
        run.mark_changed(str(error))
    except EmptyBatchError:
        run.mark_not_started(problem="There is no row left to send.")
    except UnknownModelError as error:
        run.mark_not_started(problem=f"The model «{error.name}» of this prompt does not answer any more.")
    else:
        let_go(run)


def _begin(run: BulkRun, table: Table) -> None:
    batch = Batch(
        user=run.user,
        door=Call.Door.BULK,
        prompt=run.prompt,
        version=run.version,
        title=run.name,
        columns=table.columns,
        live=run.live,
    )

    def linked() -> None:
        if not run.mark_started(batch):
            raise OvertakenError
        if run.again_of is not None:
            _take_over(run, run.again_of, batch)

    lines: list[int] = []
    try:
        start(batch, _rows(run, batch, table, lines), before=lambda: _compare(run, batch), within=linked)
    except BadRowError as error:
        raise BadTableError(f"Line {lines[error.position]:,}: {_in_words(error)}") from error


def _in_words(error: BadRowError) -> str:
    """What is wrong with a row, for somebody who knows of no requests."""
    if error.too_large:
        return f"This is more than Claude takes at once ({MOST_ROW_BYTES // 10**6} MB)."
    return "This row cannot be sent as it is."


def _compare(run: BulkRun, batch: Batch) -> None:
    """Raise `ChangedError` where what was written down is more, or can cost more, than the person saw."""
    rows = BatchRow.objects.filter(batch=batch)
    found = rows.aggregate(count=Count("pk"), priced=Count("worst"), most=Sum("worst"))
    seen = run.most_live if run.live else run.most_batch
    known = found["count"] == found["priced"]
    if found["count"] > run.usable:
        raise ChangedError(f"There are more rows than you saw: {found['count']:,} instead of {run.usable:,}. {LOOK}")
    if run.again_of_id is not None and overtaken(batch):
        raise ChangedError(OVERTAKEN)
    if seen is not None and not known:
        raise ChangedError(f"A price has changed since you saw it, and is not known now. {LOOK}")
    if seen is not None and found["most"] > seen:
        now = found["most"]
        raise ChangedError(f"Prices have changed: it can cost up to {now:.4f} USD now; you saw {seen:.4f} USD. {LOOK}")


def _take_over(run: BulkRun, first: Batch, batch: Batch) -> None:
    """Deal with the calls that this batch repeats, in the transaction that reserves for it and lets it be sent."""
    # Of two repeats of one table, the second waits here until the first is there to be seen.
    Batch.objects.select_for_update().get(pk=first.pk)
    others = BulkRun.objects.filter(again_of=first, batch__started_at__gte=batch.created_at)
    if others.exclude(pk=run.pk).exists():
        raise ChangedError(OVERTAKEN)
    # Those of them that were given up in the queue are dealt with by this.
    repeated = Call.objects.filter(pk__in=Call.objects.filter(batch_row__batch=batch).values("again_of"))
    close_letters(repeated, by=run.user, how=Handling.How.AGAIN, note="The rows without an answer were run again.")


def _rows(run: BulkRun, batch: Batch, table: Table, lines: list[int]) -> Iterator[Row]:
    """The usable rows, whose lines are added to `lines`; the others are kept with the batch for its file."""
    skipped: list[SkippedLine] = []
    held = 0
    for count, each in enumerate(rendered(run.version, table.lines, run.places or {}), start=1):
        if each.row is not None:
            lines.append(each.line.number)
            yield each.row
        elif not run.skip_faulty:
            raise BadTableError(f"Line {each.line.number}: {each.fault}")
        else:
            skipped.append(SkippedLine(batch=batch, line=each.line.number, cells=each.line.cells, fault=each.fault))
            held += sum(map(len, each.line.cells))
        if count % CHUNK == 0 or held > MOST_BYTES:
            _still_at_it(run, skipped)
            held = 0
    _still_at_it(run, skipped)


def _still_at_it(run: BulkRun, skipped: list[SkippedLine]) -> None:
    if not run.renew(LEASE):
        raise OvertakenError
    SkippedLine.objects.bulk_create(skipped)
    skipped.clear()
