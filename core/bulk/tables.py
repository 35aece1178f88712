"""Is this file a table, and which rows does it have? Read as a stream: one row at a time, however many there are."""

from __future__ import annotations

import io
import uuid
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from core.bulk.delimited import SAMPLE, rows_of_csv
from core.bulk.excel import old_kind, rows_of_excel
from core.bulk.raw import MOST_COLUMNS, BadTableError, Beat, RawRow, RawRows, nobody_listens

__all__ = ["BadTableError", "Line", "Table", "open_table"]

# Bytes of a file, rows, and characters of a column's name.
MOST_BYTES = 200_000_000
MOST_ROWS = 200_000
LONGEST_NAME = 500
_EXCEL, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class Line:
    """One row below the heading: the number of its line or row in the file, and its cells as texts.

    `fault` says why it cannot be used; empty where it can.
    """

    number: int
    cells: list[str]
    fault: str = ""
    # The call that it repeats, where it comes from an earlier run.
    again_of: uuid.UUID | None = None


@dataclass(frozen=True)
class Table:
    """The columns' names, and the rows as they come; these can be read once."""

    columns: list[str]
    lines: Generator[Line]
    # How the file was understood, for people: «CSV, UTF-8, separated by ;».
    kind: str


def open_table(file: IO[bytes], beat: Beat = nobody_listens) -> Table:
    """The table in this file, which must be seekable and stay open. Raises `BadTableError`, also while it is read.

    `beat` is called again and again while it is, also where no row comes for long; what it raises ends the reading.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(SAMPLE)
    file.seek(0)
    if not start.strip():
        raise BadTableError("The file is empty.")
    if size > MOST_BYTES:
        raise BadTableError(f"The file has {size // 10**6} MB; at most {MOST_BYTES // 10**6} MB can be read.")
    if start.startswith(_OLD_EXCEL):
        raise BadTableError(old_kind(file, beat))
    rows, kind = rows_of_excel(file, beat) if start.startswith(_EXCEL) else rows_of_csv(file, start, beat)
    try:
        return _table(rows, kind)
    except BadTableError:
        # Whoever opened the file may close it now.
        rows.close()
        raise


def _table(rows: RawRows, kind: str) -> Table:
    filled = (row for row in rows if any(row.cells))
    heading = next(filled, None)
    if heading is None:
        raise BadTableError("The table is empty.")
    columns = _columns(heading)
    first = next(filled, None)
    if first is None:
        raise BadTableError("The table has a heading and no rows.")
    return Table(columns, _lines(columns, _chained(first, filled)), kind)


def _chained(first: RawRow, rest: Iterable[RawRow]) -> Iterator[RawRow]:
    yield first
    yield from rest


def _columns(heading: RawRow) -> list[str]:
    """The names in the heading. Raises `BadTableError` where one is missing or comes twice."""
    names = [cell.strip() for cell in heading.cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > MOST_COLUMNS:
        raise BadTableError(f"The table has more than {MOST_COLUMNS} columns.")
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        where = f"Line {heading.number}: column"
        if not name:
            raise BadTableError(f"{where} {place} has no name.")
        if len(name) > LONGEST_NAME:
            raise BadTableError(f"{where} {place} has a name of more than {LONGEST_NAME} characters.")
        if name.casefold() in seen:
            raise BadTableError(f"{where}s {seen[name.casefold()]} and {place} are both named «{name[:100]}».")
        seen[name.casefold()] = place
    return names


def _lines(columns: list[str], rows: Iterable[RawRow]) -> Generator[Line]:
    wide = len(columns)
    for count, row in enumerate(rows, start=1):
        if count > MOST_ROWS:
            raise BadTableError(f"The table has more than {MOST_ROWS:,} rows.")
        fault = row.fault or (_too_wide(row, wide) if any(row.cells[wide:]) else "")
        yield Line(row.number, (row.cells + [""] * wide)[:wide], fault)


def _too_wide(row: RawRow, wide: int) -> str:
    cells = f"{len(row.cells)}" if len(row.cells) <= MOST_COLUMNS else f"more than {MOST_COLUMNS}"
    return f"It has {cells} cells, and the heading has {wide}."
