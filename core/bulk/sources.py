"""Which lines does a run have: those of its file, or those of an earlier run that have no answer?"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from core.batches.pieces import rows_by_bytes
from core.bulk.names import line_of
from core.bulk.newest import WITHOUT_ANSWER, newest_of
from core.bulk.raw import Beat, nobody_listens
from core.bulk.tables import Line, Table, open_table
from core.bulk.uploads import opened
from core.models import Batch, BatchRow, BulkRun, Call

CHUNK = 500
REMOVED = "Its contents were removed for their age."


@contextmanager
def table_of(run: BulkRun, beat: Beat = nobody_listens) -> Iterator[Table]:
    """The table of this run, with what was put right by hand. Raises `BadTableError`, also while it is read.

    `beat` is called again and again meanwhile, and ends it by what it raises.
    """
    if run.again_of is not None:
        columns = list(run.again_of.columns or [])
        yield Table(columns, _corrected(run, unanswered_lines(run.again_of)), "rows of an earlier run")
        return
    with opened(run, beat) as file:
        table = open_table(file, beat)
        # Whoever stops reading halfway lets go of the file before it is closed.
        with closing(table.lines):
            yield replace(table, lines=_corrected(run, table.lines))


def _corrected(run: BulkRun, lines: Generator[Line]) -> Generator[Line]:
    right = dict(run.corrected_lines.values_list("line", "cells"))
    if not right:
        return lines
    return (_right(line, right.get(line.number)) for line in lines)


def _right(line: Line, cells: list[str] | None) -> Line:
    return line if cells is None else replace(line, cells=list(cells), fault="")


def unanswered_lines(batch: Batch) -> Generator[Line]:
    """The lines of a run that has ended which have no answer, nor are being run again."""
    for row, last in unanswered_rows(batch):
        fault = REMOVED if row.cells is None else ""
        yield Line(line_of(row.custom_id), list(row.cells or []), fault, last.pk)


def unanswered_rows(batch: Batch, states: Collection[str] = WITHOUT_ANSWER) -> Generator[tuple[BatchRow, Call]]:
    """The same as rows, each with the last call that failed, expired or was canceled for it.

    Only rows whose first call has one of these `states`.
    """
    failed = BatchRow.objects.filter(batch=batch, call__status__in=states).order_by("position")
    needed = ["position", "custom_id", "cells", "call__status", "call__error_message", "call__error_type"]
    rows = failed.select_related("call").only(*needed)
    for chunk in rows_by_bytes(rows, CHUNK):
        newest = newest_of([row.call for row in chunk])
        for row in chunk:
            last = newest.get(row.call_id, row.call)
            if last.status in WITHOUT_ANSWER:
                yield row, last
