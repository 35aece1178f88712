"""How does a table that a person has seen the price of become a batch: all of it once, or nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from core.batches.start import BadRowError, EmptyBatchError, OvertakenError, Row, start
from core.bulk.checking import LEASE
from core.bulk.rendering import rendered
from core.bulk.sources import table_of
from core.bulk.tables import BadTableError, Table
from core.bulk.uploads import let_go
from core.costs.budgets import OverBudgetError
from core.costs.windows import window_of
from core.intake.requests import UnreadableRequestError
from core.models import Batch, BulkRun, Call, SkippedLine
from core.routing.choose import UnknownModelError

# Rows between two signs of life, and skipped lines that are written together.
CHUNK = 500


def begin(run: BulkRun) -> None:
    """Write the rows down, reserve for all of them and let them go. This process has the run in hand.

    Where that breaks off, whoever takes the run up begins anew; what was written down then counts for nothing.
    """
    try:
        with table_of(run) as table:
            _begin(run, table)
    except OverBudgetError as error:
        window = window_of(error.budget, timezone.localdate())
        run.mark_not_started(refused_by=window, refused_need=error.needed)
    except (BadTableError, BadRowError, UnreadableRequestError) as error:
        run.mark_not_started(problem=str(error)[:500])
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

    start(batch, _rows(run, batch, table), within=linked)


def _rows(run: BulkRun, batch: Batch, table: Table) -> Iterator[Row]:
    """The usable rows; the others are kept with the batch, so that the file that comes back has them too."""
    skipped: list[SkippedLine] = []
    for count, each in enumerate(rendered(run.version, table.lines, run.places or {}), start=1):
        if each.row is not None:
            yield each.row
        elif not run.skip_faulty:
            raise BadTableError(f"Line {each.line.number}: {each.fault}")
        else:
            skipped.append(SkippedLine(batch=batch, line=each.line.number, cells=each.line.cells, fault=each.fault))
        if count % CHUNK == 0:
            _still_at_it(run, skipped)
    _still_at_it(run, skipped)


def _still_at_it(run: BulkRun, skipped: list[SkippedLine]) -> None:
    if not run.renew(LEASE):
        raise OvertakenError
    SkippedLine.objects.bulk_create(skipped)
    skipped.clear()
