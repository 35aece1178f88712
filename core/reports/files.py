"""How do lines become a CSV file, in pieces that need no memory?"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

# How many lines travel together.
LINES = 500
_FORMULA_STARTS = frozenset("=+-@\t\r")


def csv_pieces(rows: Iterable[list[Any]]) -> Iterator[bytes]:
    writer = csv.writer(_Line())
    remaining = iter(rows)
    while chunk := list(islice(remaining, LINES)):
        yield "".join(writer.writerow([_cell(value) for value in row]) for row in chunk).encode()


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Any) -> Any:
    """An amount with all its digits and no power of ten; a text that a spreadsheet takes for a formula is marked."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_STARTS else value
