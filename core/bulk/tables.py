"""Is this file a table, and which rows does it have? Read as a stream: one row at a time, however many there are."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
import zipfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any
from xml.etree.ElementTree import ParseError

import charset_normalizer
import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

# Bytes of a file; of an Excel file unpacked, and of the texts in it, which have to be held in memory.
MOST_BYTES = 200_000_000
MOST_UNPACKED = 1_000_000_000
MOST_SHARED_TEXTS = 60_000_000
MOST_ROWS = 200_000
MOST_COLUMNS = 500
# Characters of a cell.
MOST_IN_CELL = 1_000_000
# Bytes that say which encoding and which delimiter a file has.
SAMPLE = 65_536
DELIMITERS = (",", ";", "\t", "|")
_EXCEL, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

# Rows as they come: the number of the line that each begins in, and its cells.
Numbered = Generator[tuple[int, list[str]]]

# For the whole process; Python's own limit is shorter than a letter with its attachments.
csv.field_size_limit(MOST_IN_CELL)


class BadTableError(ValueError):
    """A file that is no table that can be used; the text says what and where."""


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


def open_table(file: IO[bytes]) -> Table:
    """The table in this file, which must be seekable and stay open. Raises `BadTableError`, also while it is read."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(SAMPLE)
    file.seek(0)
    if not start.strip():
        raise BadTableError("The file is empty.")
    if size > MOST_BYTES:
        raise BadTableError(f"The file has {size // 10**6} MB; at most {MOST_BYTES // 10**6} MB can be read.")
    if start.startswith(_OLD_EXCEL):
        raise BadTableError("This is an old or a protected Excel file. Save it as .xlsx without a password, or as CSV.")
    rows, kind = _excel(file) if start.startswith(_EXCEL) else _csv(file, start)
    try:
        return _table(rows, kind)
    except BadTableError:
        # Whoever opened the file may close it now.
        rows.close()
        raise


def _table(rows: Iterator[tuple[int, list[str]]], kind: str) -> Table:
    filled = ((number, cells) for number, cells in rows if any(cells))
    heading = next(filled, None)
    if heading is None:
        raise BadTableError("The table is empty.")
    columns = _columns(*heading)
    first = next(filled, None)
    if first is None:
        raise BadTableError("The table has a heading and no rows.")
    return Table(columns, _lines(columns, _chained(first, filled)), kind)


def _chained(first: tuple[int, list[str]], rest: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _columns(number: int, cells: list[str]) -> list[str]:
    """The names in the heading. Raises `BadTableError` where one is missing or comes twice."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > MOST_COLUMNS:
        raise BadTableError(f"The table has more than {MOST_COLUMNS} columns.")
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        if not name:
            raise BadTableError(f"Line {number}: column {place} has no name.")
        if name.casefold() in seen:
            raise BadTableError(f"Line {number}: columns {seen[name.casefold()]} and {place} are both named «{name}».")
        seen[name.casefold()] = place
    return names


def _lines(columns: list[str], rows: Iterable[tuple[int, list[str]]]) -> Generator[Line]:
    wide = len(columns)
    for count, (number, cells) in enumerate(rows, start=1):
        if count > MOST_ROWS:
            raise BadTableError(f"The table has more than {MOST_ROWS:,} rows.")
        beyond = any(cells[wide:])
        fault = f"It has {len(cells)} cells, and the heading has {wide}." if beyond else ""
        yield Line(number, (cells + [""] * wide)[:wide], fault)


def _csv(file: IO[bytes], start: bytes) -> tuple[Numbered, str]:
    encoding = _encoding(start)
    sample = start.decode(encoding, "ignore")
    if "\x00" in sample:
        raise BadTableError("This is neither a CSV file nor an Excel file.")
    delimiter, quote = _dialect(sample)
    text = io.TextIOWrapper(file, encoding, newline="")
    names = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
    return _csv_rows(text, delimiter, quote), f"CSV, {encoding}, separated by {names[delimiter]}"


def _csv_rows(text: io.TextIOWrapper, delimiter: str, quote: str) -> Numbered:
    reader = csv.reader(text, delimiter=delimiter, quotechar=quote, strict=True)
    begins = 1
    try:
        for cells in reader:
            if "\x00" in "".join(cells):
                raise BadTableError(f"Line {begins} holds the character NUL, which no text has.")
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadTableError(f"Line {begins} cannot be read as CSV: {error}.") from error
    except UnicodeDecodeError as error:
        raise BadTableError(
            f"Line {begins} or one soon after it is not in the encoding of the lines before. Save the file as UTF-8."
        ) from error
    finally:
        # Whoever opened the file closes it.
        text.detach()


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
    scores = {delimiter: _score(sample, delimiter, quote) for delimiter in DELIMITERS}
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


def _excel(file: IO[bytes]) -> tuple[Numbered, str]:
    _check_packed(file)
    try:
        # Formulas are never computed: a cell has the value that was saved with it.
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, ParseError, OSError) as error:
        raise BadTableError("This Excel file is damaged, or is none.") from error
    return _excel_rows(book, sheet), f"Excel, sheet «{sheet.title}»"


def _check_packed(file: IO[bytes]) -> None:
    """Refuse what is small only while it is packed; no more than these sizes is ever unpacked of a part."""
    try:
        with zipfile.ZipFile(file) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BadTableError("This Excel file is damaged, or is none.") from error
    whole = sum(part.file_size for part in parts)
    # Everything but the sheets is held in memory.
    held = sum(part.file_size for part in parts if not part.filename.startswith("xl/worksheets/"))
    if whole > MOST_UNPACKED or held > MOST_SHARED_TEXTS:
        raise BadTableError("Unpacked, this Excel file is too large. Save the table as CSV.")
    file.seek(0)


def _excel_rows(book: Any, sheet: Any) -> Numbered:
    try:
        # What a file says of its size need not be true.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1)
        for number, values in enumerate(rows, start=1):
            yield number, [_text(value) for value in values]
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, ParseError, OSError, EOFError) as error:
        raise BadTableError("This Excel file is damaged.") from error
    finally:
        book.close()


def _text(value: Any) -> str:
    """A cell as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value).replace("\x00", "\ufffd")[:MOST_IN_CELL]
