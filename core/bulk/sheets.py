"""What do the rows of a sheet hold, as a person reads them? Heard from its XML as it comes."""

from __future__ import annotations

import datetime as dt
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from core.bulk import raw
from core.bulk.packages import DAMAGED, TOO_LARGE
from core.bulk.raw import BadTableError, RawRow

# Excel's own limits. Source: «Excel specifications and limits».
MOST_IN_CELL = 32_767
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class _Texts:
    """The text of a cell, or of many: what stands in `t`, whatever its looks, but not how it is pronounced.

    What is longer than a cell may be is cut off one character later.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._room = 0
        self._within = False
        self._aside = 0

    def begin(self) -> None:
        self._pieces, self._room = [], MOST_IN_CELL + 1

    def start(self, name: str) -> None:
        if name == "rPh":
            self._aside += 1
        elif name in {"t", "v"} and not self._aside:
            self._within = True

    def text(self, text: str) -> None:
        if self._within and self._room > 0:
            self._pieces.append(text[: self._room])
            self._room -= len(self._pieces[-1])

    def end(self, name: str) -> None:
        if name == "rPh":
            self._aside -= 1
        elif name in {"t", "v"}:
            self._within = False

    def whole(self) -> str:
        return "".join(self._pieces)


class SharedTexts:
    """The texts that cells refer to by number; a `packages.Listener` of their part. Held as bytes, end to end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = bytearray()
        self._ends = array("I")
        self._texts = _Texts()

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        if name == "si":
            self._texts.begin()
        self._texts.start(name)

    def text(self, text: str) -> None:
        self._texts.text(text)

    def end(self, name: str) -> None:
        self._texts.end(name)
        if name == "si":
            self._bytes += self._texts.whole().encode("utf-8", "replace")
            self._ends.append(len(self._bytes))
            if len(self._bytes) > self._most:
                raise BadTableError(TOO_LARGE)

    def __getitem__(self, place: int) -> str:
        end = self._ends[place]
        return self._bytes[self._ends[place - 1] if place else 0 : end].decode()


@dataclass
class Formats:
    """Which of the numbers are dates: by the number of the format that a cell has."""

    since_1904: bool = False
    dates: set[int] = field(default_factory=set)
    spans: set[int] = field(default_factory=set)


class _Cell(NamedTuple):
    kind: str
    format: int
    text: str


class SheetRows:
    """The rows of a sheet; a `packages.Listener` of its part, which is asked for what is whole after each piece."""

    def __init__(self, shared: SharedTexts, formats: Formats) -> None:
        self._shared = shared
        self._formats = formats
        self._whole: list[tuple[int, dict[int, _Cell]]] = []
        self._cells: dict[int, _Cell] = {}
        self._number = self._column = self._held = self._given = 0
        self._kind = ""
        self._format = 0
        self._texts = _Texts()
        self._in_cell = False
        # Behind the last row there is nothing that a table needs.
        self.over = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._begin_row(attributes.get("r"))
        elif name == "c":
            self._begin_cell(attributes)
        elif self._in_cell:
            self._texts.start(name)

    def text(self, text: str) -> None:
        if self._in_cell:
            self._texts.text(text)

    def end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name == "row":
            self._whole.append((self._number, self._cells))
        elif name == "sheetData":
            self.over = True
        elif self._in_cell:
            self._texts.end(name)

    def _begin_row(self, said: str | None) -> None:
        number = self._number + 1 if said is None else _whole_number(said)
        if number > LAST_ROW:
            raise BadTableError(
                f"This Excel file is damaged: a row in it has the number {(said or str(number))[:30]}, "
                f"and Excel has {LAST_ROW:,} rows."
            )
        if number <= self._number:
            raise BadTableError(f"This Excel file is damaged: row {number} follows row {self._number}.")
        self._number, self._cells, self._column, self._held = number, {}, 0, 0

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        said = attributes.get("r")
        self._column = self._column + 1 if said is None else _column(said)
        if self._column > LAST_COLUMN:
            raise BadTableError(
                f"This Excel file is damaged: row {self._number} has a cell beyond Excel's {LAST_COLUMN:,} columns."
            )
        self._kind = attributes.get("t", "n")
        self._format = _whole_number(attributes.get("s", "0"))
        self._in_cell = True
        self._texts.begin()

    def _end_cell(self) -> None:
        self._in_cell = False
        text = self._texts.whole()
        if not text:
            return
        self._held += len(text)
        if self._held > raw.MOST_IN_ROW:
            raise _too_long(self._number)
        # Of the columns that no table has it counts only that there is something.
        place = min(self._column, raw.MOST_COLUMNS + 1)
        self._cells[place] = _Cell(self._kind, self._format, text)

    def taken(self) -> Iterator[RawRow]:
        """The rows that have become whole since the last time; each is put into words only when it is its turn."""
        whole, self._whole = self._whole, []
        for number, cells in whole:
            yield self._row(number, cells)

    def _row(self, number: int, cells: dict[int, _Cell]) -> RawRow:
        texts = [""] * max(cells, default=0)
        size, fault = 0, ""
        for place, cell in cells.items():
            text = self._words(cell)
            if len(text) > MOST_IN_CELL:
                fault = fault or (
                    f"Cell {get_column_letter(place)}{number} has more than {MOST_IN_CELL:,} characters, "
                    "the most that Excel has in one."
                )
                text = text[:MOST_IN_CELL]
            size += len(text)
            texts[place - 1] = text
            if size > raw.MOST_IN_ROW:
                raise _too_long(number)
        self._given += size
        if self._given > raw.MOST_IN_TABLE:
            raise BadTableError(f"Up to row {number} the table has more than {raw.MOST_IN_TABLE:,} characters.")
        return RawRow(number, texts, fault)

    def _words(self, cell: _Cell) -> str:
        """A cell as a person reads it."""
        if cell.kind == "n":
            return self._number_words(cell)
        if cell.kind == "s":
            return _unescaped(self._shared[_whole_number(cell.text)])
        if cell.kind == "b":
            return "yes" if cell.text.strip() in {"1", "true"} else "no"
        if cell.kind == "d":
            return _date_words(cell.text)
        return _unescaped(cell.text)

    def _number_words(self, cell: _Cell) -> str:
        text = cell.text.strip()
        try:
            value = float(text)
        except ValueError:
            return text
        dated, spanned = cell.format in self._formats.dates, cell.format in self._formats.spans
        if dated or spanned:
            try:
                return _moment_words(
                    from_excel(value, MAC_EPOCH if self._formats.since_1904 else WINDOWS_EPOCH, timedelta=spanned)
                )
            except (OverflowError, ValueError):
                return text
        if text.isdecimal():
            return text
        return str(int(value)) if value.is_integer() else str(value)


def _too_long(number: int) -> BadTableError:
    return BadTableError(f"Row {number} has more than {raw.MOST_IN_ROW:,} characters.")


def _whole_number(said: str) -> int:
    if not (said.isascii() and said.isdecimal()):
        raise BadTableError(DAMAGED)
    # Longer ones are beyond every limit, and slow to be read.
    return int(said[:12])


def _column(reference: str) -> int:
    """Of «AB12» the number of its column. Raises ValueError where there is no such one."""
    return int(column_index_from_string(reference.rstrip("0123456789").lstrip("$")))


def _date_words(text: str) -> str:
    try:
        return _moment_words(dt.datetime.fromisoformat(text))
    except ValueError:
        return text


def _moment_words(value: dt.datetime | dt.date | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.timedelta):
        return str(value)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return value.isoformat()


def _unescaped(text: str) -> str:
    """With the characters that XML cannot hold, which Excel writes as «_x000D_»; what no text has is replaced."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    number = int(match.group(1), 16)
    return "\ufffd" if number == 0 or 0xD800 <= number <= 0xDFFF else chr(number)
