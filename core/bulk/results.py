"""Which lines does the file have that comes back: the table as it was, and what Claude made of each row?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from heapq import merge
from typing import Any

from core.batches.pieces import rows_by_bytes
from core.bulk.names import line_of
from core.bulk.newest import newest_of
from core.models import Batch, BatchRow, Call, SkippedLine
from core.prompts.rendering import specs

# Answers that are held at once; each can have half a megabyte.
CHUNK = 100
# Beside the answer.
TOLD = ["status", "error", "model", "cost USD"]
SKIPPED = "Skipped"
_NEEDED = [f"call__{name}" for name in ("status", "lane", "parked", "text", "error_message", "model")]
# Where the values of a row are: for those without a table with their calls.
_VALUES = {False: "cells", True: "call__inputs"}

# The number of a line, and what stands in it.
Numbered = tuple[int, list[Any]]


def result_rows(batch: Batch) -> Iterator[list[Any]]:
    """A heading and then each row in the order of the table; a structured answer is spread over columns.

    A row that failed and was run again says what became of that, however often it was; one that was skipped has its
    fault. For `reports.files.csv_pieces` and `reports.workbook.xlsx_pieces`, which defuse what a spreadsheet would
    execute.
    """
    columns = _columns(batch)
    fields = _fields(batch)
    yield [*columns, *_apart(columns, [*(fields or ["answer"]), *TOLD])]
    for _, line in merge(_answered(batch, columns, fields), _skipped(batch, columns, fields), key=lambda each: each[0]):
        yield line


def _columns(batch: Batch) -> list[str]:
    """Those of its table, or of rows that came without one the variables of the prompt."""
    if batch.columns is not None:
        return list(batch.columns)
    return [spec.name for spec in specs(batch.version.content())] if batch.version else []


def _answered(batch: Batch, columns: list[str], fields: list[str]) -> Iterator[Numbered]:
    rows = BatchRow.objects.filter(batch=batch).select_related("call").prefetch_related("call__cost_records")
    rows = rows.only("position", "custom_id", _VALUES[batch.columns is None], *_NEEDED)
    for chunk in rows_by_bytes(rows, CHUNK):
        newest = newest_of([row.call for row in chunk])
        for row in chunk:
            call = newest.get(row.call_id, row.call)
            cells = [row.call.inputs.get(name, "") for name in columns] if batch.columns is None else row.cells
            yield line_of(row.custom_id), [*_padded(cells, columns), *_answer(call, fields), *_told(call)]


def _skipped(batch: Batch, columns: list[str], fields: list[str]) -> Iterator[Numbered]:
    blank = [""] * len(fields or ["answer"])
    number = -1
    lines = SkippedLine.objects.filter(batch=batch).order_by("line")
    while chunk := list(lines.filter(line__gt=number)[:CHUNK]):
        number = chunk[-1].line
        for skipped in chunk:
            cells = _padded(skipped.cells, columns)
            yield skipped.line, [*cells, *blank, SKIPPED, skipped.fault, "", Decimal(0)]


def _padded(cells: Sequence[Any] | None, columns: list[str]) -> list[Any]:
    return [*(cells or []), *[""] * len(columns)][: len(columns)]


def _apart(columns: list[str], ours: list[str]) -> list[str]:
    """Our columns' names; one that the table has already gets a number."""
    taken = {name.casefold() for name in columns}
    named = []
    for name in ours:
        free = name
        number = 2
        while free.casefold() in taken:
            free, number = f"{name} {number}", number + 1
        taken.add(free.casefold())
        named.append(free)
    return named


def _fields(batch: Batch) -> list[str]:
    """The names of the parts of a structured answer; none where it is a text, or data of another shape."""
    schema = (batch.version.output_schema if batch.version else None) or {}
    return list(schema.get("properties") or {}) if schema.get("type") == "object" else []


def _answer(call: Call, fields: list[str]) -> list[Any]:
    if not fields:
        return [call.text]
    try:
        said = json.loads(call.text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        # Cut off, or refused: what there is stands in the first column.
        return [call.text, *[""] * (len(fields) - 1)]
    return [_plain(said.get(name)) for name in fields]


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(value)
    return value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)


def _told(call: Call) -> list[Any]:
    return [call.status_words, call.error_message, call.model, _cost(call)]


def _cost(call: Call) -> Decimal | str:
    """In USD; nothing yet for one that has not ended, which is not the same as nothing."""
    if not call.finished:
        return ""
    cost = Call.cost_of(call.cost_records.all())
    return "unknown" if cost is None else cost
