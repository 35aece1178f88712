"""How do lines become a CSV or an Excel file, in pieces that need no memory?"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

# How many lines of CSV travel together, and how many bytes of a finished file.
LINES = 500
BYTES = 64 * 1024
# Excel's own limit.
ROWS_PER_SHEET = 1_048_576
# Excel keeps 15 digits of a number; with more than these an amount travels as a text, so that no cent is lost.
MOST_DIGITS = 15
_FORMULA_STARTS = frozenset("=+-@\t\r")


def csv_pieces(rows: Iterable[list[Any]]) -> Iterator[bytes]:
    writer = csv.writer(_Line())
    remaining = iter(rows)
    while chunk := list(islice(remaining, LINES)):
        yield "".join(writer.writerow([_cell(value) for value in row]) for row in chunk).encode()


def xlsx_pieces(rows: Iterable[list[Any]]) -> Iterator[bytes]:
    """The workbook is made in a nameless temporary file, which is gone when the last piece was sent or nobody reads."""
    with TemporaryFile() as file:
        _write_workbook(file, rows)
        file.seek(0)
        while piece := file.read(BYTES):
            yield piece


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Any) -> Any:
    """An amount with all its digits and no power of ten; a text that a spreadsheet takes for a formula is marked."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_STARTS else value


def _write_workbook(file: IO[bytes], rows: Iterable[list[Any]]) -> None:
    # Texts are written as texts, whatever they begin with; each row goes to the disk at once.
    book = xlsxwriter.Workbook(file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, money = book.add_format({"bold": True}), book.add_format({"num_format": "0.0000000000"})
    remaining = iter(rows)
    heading = next(remaining)
    more = True
    while more:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, heading, bold)
        sheet.freeze_panes(1, 0)
        number = 0
        for number, row in enumerate(islice(remaining, ROWS_PER_SHEET - 1), start=1):
            _write_row(sheet, number, row, money)
        more = number == ROWS_PER_SHEET - 1
    book.close()


def _write_row(sheet: Worksheet, number: int, row: list[Any], money: Any) -> None:
    for column, value in enumerate(row):
        if isinstance(value, Decimal) and len(value.normalize().as_tuple().digits) <= MOST_DIGITS:
            sheet.write_number(number, column, float(value), money)
        elif isinstance(value, int):
            sheet.write_number(number, column, value)
        elif value != "":
            sheet.write_string(number, column, _text(value))


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, dt.date) else str(value)
