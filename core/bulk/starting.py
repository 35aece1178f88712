"""How does a table that a person has seen the price of become a batch: all of it once, or nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Sum
from django.utils import timezone

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
    except (BadTableError, BadRowError, UnreadableRequestError) as error:
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

    start(batch, _rows(run, batch, table), before=lambda: _compare(run, batch), within=linked)


def _compare(run: BulkRun, batch: Batch) -> None:
    """Raise `ChangedError` where what was written down is more, or can cost more, than the person saw."""
    rows = BatchRow.objects.filter(batch=batch)
    found = rows.aggregate(count=Count("pk"), priced=Count("worst"), most=Sum("worst"))
    seen = run.most_live if run.live else run.most_batch
    known = found["count"] == found["priced"]
    if found["count"] > run.usable:
        raise ChangedError(f"There are more rows than you saw: {found['count']:,} instead of {run.usable:,}. {LOOK}")
    if seen is not None and not known:
        raise ChangedError(f"A price has changed since you saw it, and is not known now. {LOOK}")
    if seen is not None and found["most"] > seen:
        now = found["most"]
        raise ChangedError(f"Prices have changed: it can cost up to {now:.4f} USD now; you saw {seen:.4f} USD. {LOOK}")


def _take_over(run: BulkRun, first: Batch, batch: Batch) -> None:
    """Deal with the calls that this batch repeats, in the transaction that reserves for it and lets it be sent."""
    # Of two repeats of one table, the second waits here until the first is there to be seen.
    Batch.objects.select_for_update().get(pk=first.pk)
    if overtaken(batch):
        raise ChangedError(f"Some of these rows have an answer meanwhile, or are being run again. {LOOK}")
    # Those of them that were given up in the queue are dealt with by this.
    repeated = Call.objects.filter(pk__in=Call.objects.filter(batch_row__batch=batch).values("again_of"))
    close_letters(repeated, by=run.user, how=Handling.How.AGAIN, note="The rows without an answer were run again.")


def _rows(run: BulkRun, batch: Batch, table: Table) -> Iterator[Row]:
    """The usable rows; the others are kept with the batch, so that the file that comes back has them too."""
    skipped: list[SkippedLine] = []
    held = 0
    for count, each in enumerate(rendered(run.version, table.lines, run.places or {}), start=1):
        if each.row is not None:
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
