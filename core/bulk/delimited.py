"""Which rows does a CSV file have, whatever its encoding, its delimiter and its quotes are?"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import IO

import charset_normalizer

from core.bulk import raw
from core.bulk.raw import BadTableError, Beat, RawRow, RawRows

# Characters of a cell.
MOST_IN_CELL = 1_000_000
# Bytes that say which encoding and which delimiter a file has.
SAMPLE = 65_536
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

# For the whole process; Python's own limit is shorter than a letter with its attachments.
csv.field_size_limit(MOST_IN_CELL)


def rows_of_csv(file: IO[bytes], start: bytes, beat: Beat) -> tuple[RawRows, str]:
    """The rows of the file that begins with `start`, and how it was understood, for people."""
    encoding = _encoding(start)
    sample = start.decode(encoding, "ignore")
    if "\x00" in sample:
        raise BadTableError("This is neither a CSV file nor an Excel file.")
    delimiter, quote = _dialect(sample)
    text = io.TextIOWrapper(file, encoding, newline="")
    return _rows(text, delimiter, quote, beat), f"CSV, {encoding}, separated by {_NAMES[delimiter]}"


def _rows(text: io.TextIOWrapper, delimiter: str, quote: str, beat: Beat) -> RawRows:
    lines = _Lines(text, beat)
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
    try:
        for cells in reader:
            if "\x00" in "".join(cells):
                raise BadTableError(f"Line {lines.begins} holds the character NUL, which no text has.")
            yield RawRow(lines.begins, cells)
            lines.row_ends()
    except csv.Error as error:
        raise BadTableError(f"Line {lines.begins} cannot be read as CSV: {error}.") from error
    except UnicodeError as error:
        raise BadTableError(
            f"Line {lines.begins} or one soon after it is not in the encoding of the lines before. "
            "Save the file as UTF-8."
        ) from error
    finally:
        # Whoever opened the file closes it.
        text.detach()


class _Lines:
    """The lines of a file for the reader of CSV: no line, and no row of many lines, is longer than a row may be."""

    def __init__(self, text: io.TextIOWrapper, beat: Beat) -> None:
        self._text = text
        self._beat = beat
        self._count = self._size = 0
        # The line that the present row begins in.
        self.begins = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._beat()
        line = self._text.readline(raw.MOST_IN_ROW + 1)
        if not line:
            raise StopIteration
        self._count += 1
        self._size += len(line)
        if self._size > raw.MOST_IN_ROW:
            raise BadTableError(
                f"The row that begins in line {self.begins} has more than {raw.MOST_IN_ROW:,} characters. "
                "Perhaps a quotation mark is missing, or the file is no table."
            )
        return line

    def row_ends(self) -> None:
        self.begins, self._size = self._count + 1, 0


def _encoding(start: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    try:
        # A character that the sample cuts in two has four bytes at most.
        start[: max(0, len(start) - 4) if len(start) == SAMPLE else len(start)].decode("utf-8")
    except UnicodeDecodeError as error:
        if not 0 < len(start) - error.start < 4 or len(start) < SAMPLE:
            return _guessed(start)
    return "utf-8"


def _guessed(start: bytes) -> str:
    best = charset_normalizer.from_bytes(start[:16_384]).best()
    if best is None:
        raise BadTableError("The encoding of this file is not known. Save it as UTF-8.")
    # What Western programs write; the guess takes its near relatives for it as readily.
    return "cp1252" if best.encoding in {"cp1250", "cp1252", "latin_1", "iso8859_15", "mac_roman"} else best.encoding


def _dialect(sample: str) -> tuple[str, str]:
    """The delimiter that cuts most lines into the same number of cells, and the quotes."""
    quote = "'" if '"' not in sample and sample.count("'") > sample.count("\n") + 1 else '"'
    scores = {delimiter: _score(sample, delimiter, quote) for delimiter in _NAMES}
    best = max(scores, key=lambda delimiter: scores[delimiter])
    return (best if scores[best][0] > 0 else ","), quote


def _score(sample: str, delimiter: str, quote: str) -> tuple[float, int]:
    try:
        # The last line may be cut.
        rows = [
            row for row in islice(csv.reader(io.StringIO(sample), delimiter=delimiter, quotechar=quote), 100) if row
        ]
    except csv.Error:
        return 0.0, 0
    wide = len(rows[0]) if rows else 0
    if wide < 2:
        return 0.0, 0
    return sum(len(row) == wide for row in rows) / len(rows), wide
