"""What is in an uploaded table: which columns, which rows, which faults, and at what price?"""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.batches.start import OvertakenError
from core.bulk.pricing import Tally
from core.bulk.rendering import Rendered, matched, missing, rendered
from core.bulk.sources import table_of
from core.bulk.tables import BadTableError, Table
from core.models import BulkRun
from core.prompts.conversation import readable

# Of one process that reads a run or writes it down; renewed after so many rows.
LEASE = dt.timedelta(minutes=1)
RENEWED_EACH = 1000
# How many faults and rendered rows a page shows, and how much of a cell or a text.
MOST_FAULTS = 50
MOST_SAMPLES = 3
LONGEST_SHOWN = 3000

State = BulkRun.State


def check(run: BulkRun) -> None:
    """Read the whole table and note what was found. This process has the run in hand."""
    try:
        with table_of(run) as table:
            _check(run, table)
    except BadTableError as error:
        run.mark_checked(State.REFUSED, problem=str(error)[:500], rows=0, faulty=0, faults=[], samples=[])


def _check(run: BulkRun, table: Table) -> None:
    places = run.places if run.places is not None and run.columns == table.columns else None
    if places is None:
        places = matched(run.version, table.columns)
    known: dict[str, Any] = {"kind": table.kind, "columns": table.columns, "places": places}
    unmatched = missing(run.version, places)
    if unmatched:
        names = ", ".join(f"«{name}»" for name in unmatched)
        run.mark_checked(State.COLUMNS, problem=f"Which column holds {names}?"[:500], **known)
        return
    found = _Found(run)
    for each in rendered(run.version, table.lines, places):
        found.add(each)
    run.mark_checked(State.CHECKED, **known, **found.fields())


class _Found:
    """What the rows so far come to."""

    def __init__(self, run: BulkRun) -> None:
        self._run = run
        self._tally = Tally(run.version)
        self._rows = self._faulty = 0
        self._faults: list[list[Any]] = []
        self._samples: list[dict[str, Any]] = []

    def add(self, each: Rendered) -> None:
        self._rows += 1
        if self._rows % RENEWED_EACH == 0 and not self._run.renew(LEASE):
            raise OvertakenError
        if each.row is None:
            self._faulty += 1
            if len(self._faults) < MOST_FAULTS:
                self._faults.append([each.line.number, each.fault, each.line.cells])
            return
        self._tally.add(each.row.request)
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(_sample(each.line.number, each.row.request))

    def fields(self) -> dict[str, Any]:
        return {
            "rows": self._rows,
            "faulty": self._faulty,
            "faults": self._faults,
            "samples": self._samples,
            **self._tally.figures(),
        }


def _sample(line: int, request: dict[str, Any]) -> dict[str, Any]:
    text = readable(request["messages"][-1]["content"])
    return {"line": line, "system": request.get("system", "")[:LONGEST_SHOWN], "text": text[:LONGEST_SHOWN]}
