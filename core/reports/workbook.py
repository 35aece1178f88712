"""How does an Excel file leave piece by piece, while its lines are still being read?

Written here, for the libraries need the whole file on the disk before the first byte can go, which takes minutes for a
million lines. Source: ECMA-376, parts 1 and 2; texts stand in their cells, so that no table of them has to be kept.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from typing import IO, Any
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# Bytes that travel together, and lines that are written at a time.
BYTES, LINES = 64 * 1024, 200
# Excel's own limits; and bytes of one sheet, well below what a ZIP file takes without an extension that Excel dislikes.
ROWS_PER_SHEET, LONGEST_TEXT, BYTES_PER_SHEET = 1_048_576, 32_767, 1_500_000_000
# Excel keeps 15 digits of a number; with more than these an amount travels as a text, so that no cent is lost.
MOST_DIGITS = 15
# What XML cannot hold, and what would be read as such a character's name.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]|_(?=x[0-9A-Fa-f]{4}_)")

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# Every other part is a sheet, so that their number need not be known at the beginning.
_BEGINNING = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="{_KIND}.worksheet+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    # Style 1 is bold, for headings; style 2 shows an amount with its ten places.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="0.0000000000"/></numFmts>'
        '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}


class _Passing:
    """A file that keeps only what has not been taken yet; it cannot be gone back in."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def close(self) -> None:
        """As a file has it; whoever takes the last piece is done."""

    def flush(self) -> None:
        """As a file has it; there is nothing beneath."""

    def take(self, at_least: int = 1) -> Iterator[bytes]:
        if len(self.waiting) >= at_least:
            yield bytes(self.waiting)
            self.waiting.clear()


def xlsx_pieces(rows: Iterable[list[Any]]) -> Iterator[bytes]:
    """A workbook of these lines, the first of which is the heading; it is repeated on each further sheet."""
    file = _Passing()
    book: ZipFile = ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1)
    for name, text in _BEGINNING.items():
        book.writestr(_entry(name), _HEAD + text)
    remaining = iter(rows)
    heading = next(remaining)
    sheets = 0
    more: list[Any] | None = []
    while more is not None:
        sheets += 1
        with book.open(_entry(f"xl/worksheets/sheet{sheets}.xml"), "w") as sheet:
            for _ in _sheet(sheet, heading, remaining):
                yield from file.take(BYTES)
        more = next(remaining, None)
        remaining = remaining if more is None else chain([more], remaining)
    for name, text in _end(sheets).items():
        book.writestr(_entry(name), _HEAD + text)
    book.close()
    yield from file.take()


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


def _sheet(sheet: IO[bytes], heading: list[Any], rows: Iterator[list[Any]]) -> Iterator[None]:
    """Write one sheet, until it is full or there are no more lines; stops after each handful of them."""
    letters = [_letters(index) for index in range(len(heading))]
    written = sheet.write(_sheet_head(letters, heading).encode())
    first = 2
    while lines := list(islice(rows, min(LINES, ROWS_PER_SHEET - first + 1))):
        text = "".join(_row(number, letters, row) for number, row in enumerate(lines, start=first))
        written += sheet.write(text.encode())
        first += len(lines)
        yield
        if written > BYTES_PER_SHEET:
            break
    sheet.write(b"</sheetData></worksheet>")


def _sheet_head(letters: list[str], heading: list[Any]) -> str:
    titles = "".join(_text(f'r="{letter}1" s="1"', str(title)) for letter, title in zip(letters, heading, strict=True))
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f'<cols><col min="1" max="{len(letters)}" width="18" customWidth="1"/></cols>'
        f'<sheetData><row r="1">{titles}</row>'
    )


def _row(number: int, letters: list[str], row: list[Any]) -> str:
    cells = [_cell(f'r="{letter}{number}"', value) for letter, value in zip(letters, row, strict=True) if value != ""]
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(place: str, value: Any) -> str:
    if isinstance(value, str):
        return _text(place, value)
    if isinstance(value, Decimal):
        exact = len(value.as_tuple().digits) <= MOST_DIGITS or len(value.normalize().as_tuple().digits) <= MOST_DIGITS
        return f'<c {place} s="2"><v>{value:f}</v></c>' if exact else _text(place, f"{value:f}")
    if isinstance(value, int):
        return f"<c {place}><v>{value}</v></c>"
    return _text(place, value.isoformat() if isinstance(value, dt.date) else str(value))


def _text(place: str, text: str) -> str:
    """A text is a text, whatever it begins with."""
    return f'<c {place} t="inlineStr"><is><t xml:space="preserve">{_written(text)}</t></is></c>'


# The same names stand in line after line.
@lru_cache(maxsize=10_000)
def _written(text: str) -> str:
    if _UNWRITABLE.search(text):
        text = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return escape(text[:LONGEST_TEXT])


def _letters(index: int) -> str:
    """A column's name: A to Z, then AA and on."""
    before, last = divmod(index, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _end(sheets: int) -> dict[str, str]:
    """What says how many sheets there are."""
    numbers = range(1, sheets + 1)
    named = "".join(f'<sheet name="Sheet{number}" sheetId="{number}" r:id="rId{number}"/>' for number in numbers)
    related = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    styles = f'<Relationship Id="rId{sheets + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    return {
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><bookViews><workbookView/></bookViews>'
            f"<sheets>{named}</sheets></workbook>"
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">{related}{styles}</Relationships>'
        ),
    }
