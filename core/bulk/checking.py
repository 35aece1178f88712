"""What is in an uploaded table: which columns, which rows, which faults, and at what price?"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from core.batches.start import OvertakenError
from core.bulk.pricing import Tally
from core.bulk.rendering import Rendered, matched, missing, rendered
from core.bulk.sources import table_of
from core.bulk.tables import BadTableError, Table
from core.models import BulkRun
from core.prompts.conversation import readable

# Of one process that reads a run or writes it down; renewed after so many seconds.
LEASE = dt.timedelta(minutes=1)
RENEWED_EACH = 10.0
# How many faults and rendered rows a page shows, and how much of a cell or a text.
MOST_FAULTS = 50
MOST_SAMPLES = 3
LONGEST_SHOWN = 3000
# Characters of a faulty line that can be put right on the page, and of all such lines; of more, only the fault is kept.
LONGEST_PUT_RIGHT, MOST_PUT_RIGHT = 20_000, 200_000
LONGEST_FAULT = 500
TOO_LONG = "This line is too long to be put right here. Please change it in your file."

State = BulkRun.State


class Alive:
    """The beat of a run: says now and then, however often it is called, that this process still works on it.

    Raises `OvertakenError` where another one does.
    """

    def __init__(self, run: BulkRun) -> None:
        self._run = run
        self._said = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._said < RENEWED_EACH:
            return
        if not self._run.renew(LEASE):
            raise OvertakenError
        self._said = now


def check(run: BulkRun) -> None:
    """Read the whole table and note what was found. This process has the run in hand."""
    alive = Alive(run)
    try:
        with table_of(run, alive) as table:
            _check(run, table, alive)
    except BadTableError as error:
        run.mark_checked(State.REFUSED, problem=str(error)[:500], rows=0, faulty=0, faults=[], samples=[])


def _check(run: BulkRun, table: Table, alive: Alive) -> None:
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
        alive()
        found.add(each)
    run.mark_checked(State.CHECKED, **known, **found.fields())


class _Found:
    """What the rows so far come to."""

    def __init__(self, run: BulkRun) -> None:
        self._tally = Tally(run.version)
        self._rows = self._faulty = 0
        self._faults: list[list[Any]] = []
        self._room = MOST_PUT_RIGHT
        self._samples: list[dict[str, Any]] = []

    def add(self, each: Rendered) -> None:
        self._rows += 1
        if each.row is None:
            self._faulty += 1
            if len(self._faults) < MOST_FAULTS:
                self._note_fault(each)
            return
        self._tally.add(each.row.request)
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(_sample(each.line.number, each.row.request))

    def _note_fault(self, each: Rendered) -> None:
        cells, fault = each.line.cells, each.fault[:LONGEST_FAULT]
        size = sum(map(len, cells))
        if size > min(LONGEST_PUT_RIGHT, self._room):
            cells, fault = [], f"{fault} {TOO_LONG}"
        else:
            self._room -= size
        self._faults.append([each.line.number, fault, cells])

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
