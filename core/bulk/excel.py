"""Which rows does the first sheet of an Excel file have? Formulas are never computed: a cell has its saved value."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from contextlib import closing
from typing import IO

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

from core.bulk import packages
from core.bulk.packages import NONE, PROTECTED, TOO_LARGE, Listener, Package, walk
from core.bulk.raw import BadTableError, Beat, RawRows
from core.bulk.sheets import Formats, SharedTexts, SheetRows

# Bytes of the texts that many cells share, which are held in memory.
MOST_SHARED_TEXTS = 60_000_000
# Twice as many ways in which cells look as Excel has, and many more sheets than anybody.
MOST_FORMATS, LONGEST_FORMAT = 130_000, 255
MOST_SHEETS = 10_000
OPEN_DOCUMENT = "This is an OpenDocument table (.ods). Save it as .xlsx, or as CSV."
BINARY = "This is a binary Excel file (.xlsb). Save it as .xlsx, or as CSV."
ARCHIVE = "This is an archive, and no Excel file. Choose the table itself, as .xlsx or CSV."
OLD = "This is an Excel file of the old kind (.xls). Save it as .xlsx, or as CSV."
OLD_OFFICE = "This is an Office file of an old kind, and no table that can be read. Save it as .xlsx, or as CSV."
# What is named in files of the old kind, and in those with a password; and how much is searched for it at once.
_ENCRYPTED, _BOOKS = "EncryptedPackage".encode("utf-16-le"), "Workbook".encode("utf-16-le")
_SEARCHED = 1_000_000


def old_kind(file: IO[bytes], beat: Beat) -> str:
    """What to say of a file in the container that Office had before, and has for files with a password."""
    file.seek(0)
    end, old = b"", False
    while piece := file.read(_SEARCHED):
        beat()
        searched = end + piece
        if _ENCRYPTED in searched:
            return PROTECTED
        old = old or _BOOKS in searched
        end = piece[-len(_ENCRYPTED) :]
    return OLD if old else OLD_OFFICE


def rows_of_excel(file: IO[bytes], beat: Beat) -> tuple[RawRows, str]:
    """The rows of the first sheet that is shown, and how the file was understood, for people."""
    package = Package(file)
    try:
        book = _Book(package, beat)
        title, part = book.first_sheet()
        return _rows(package, book, part, beat), f"Excel, sheet «{title}»"
    except BadTableError:
        package.close()
        raise


def _rows(package: Package, book: _Book, part: str, beat: Beat) -> RawRows:
    try:
        sheet = SheetRows(book.shared, book.formats)
        with package.opened(part, packages.MOST_UNPACKED) as stream, closing(walk(stream, sheet, beat)) as pieces:
            for _ in pieces:
                yield from sheet.taken()
                if sheet.over:
                    return
    finally:
        package.close()


class _Book:
    """What has to be known of a workbook before the first row."""

    def __init__(self, package: Package, beat: Beat) -> None:
        self._package, self._beat = package, beat
        self._part = self._workbook()
        self._sheets = _Sheets()
        self._heard(self._part, self._sheets)
        self._related = self._relations(self._part)
        self.formats = self._formats()
        self.shared = SharedTexts(MOST_SHARED_TEXTS)
        if shared := self._target("sharedStrings"):
            self._heard(shared, self.shared, packages.MOST_UNPACKED)

    def first_sheet(self) -> tuple[str, str]:
        """The title and the part of the first sheet that is shown; of the first, where all are hidden."""
        tables = {key: where for key, (kind, where) in self._related.items() if kind == "worksheet"}
        found = [each for each in self._sheets.found if each[1] in tables]
        shown = [each for each in found if not each[2]]
        if not found:
            raise BadTableError(NONE)
        title, key, _ = (shown or found)[0]
        return title, tables[key]

    def _workbook(self) -> str:
        if "mimetype" in self._package:
            raise BadTableError(OPEN_DOCUMENT if "content.xml" in self._package else ARCHIVE)
        if "[Content_Types].xml" not in self._package:
            raise BadTableError(ARCHIVE)
        found = [where for kind, where in self._relations("").values() if kind == "officeDocument"]
        part = found[0] if found and found[0] in self._package else "xl/workbook.xml"
        if part not in self._package or part.endswith(".bin"):
            raise BadTableError(BINARY if "xl/workbook.bin" in self._package else ARCHIVE)
        return part

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: the last word of its kind, and its name."""
        folder, name = posixpath.split(part)
        relations = _Relations(folder)
        where = posixpath.join(folder, "_rels", f"{name}.rels")
        if where in self._package:
            self._heard(where, relations)
        return relations.found

    def _target(self, kind: str) -> str | None:
        found = [where for known, where in self._related.values() if known == kind and where in self._package]
        return found[0] if found else None

    def _formats(self) -> Formats:
        formats = Formats(self._sheets.since_1904)
        if styles := self._target("styles"):
            self._heard(styles, _Styles(formats))
        return formats

    def _heard(self, part: str, listener: Listener, most: int | None = None) -> None:
        with self._package.opened(part, most or packages.MOST_OF_SMALL) as stream:
            for _ in walk(stream, listener, self._beat):
                pass


class _Heard:
    """A listener to tags alone."""

    def text(self, text: str) -> None:
        """Says nothing here."""

    def end(self, name: str) -> None:
        """Matters to few."""


class _Sheets(_Heard):
    """The sheets of a workbook: the title of each, the key of its part, and whether it is hidden."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, bool]] = []
        self.since_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in {"1", "true"}
        elif name == "sheet":
            key = next((value for each, value in attributes.items() if each.endswith(":id")), "")
            self.found.append((attributes.get("name", "")[:100], key, attributes.get("state", "visible") != "visible"))
            if len(self.found) > MOST_SHEETS:
                raise BadTableError(TOO_LARGE)


class _Relations(_Heard):
    """What a part in this folder refers to, by the keys that it uses for it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name != "Relationship" or attributes.get("TargetMode") == "External":
            return
        where = posixpath.join("/", self._folder, attributes.get("Target", "").replace("\\", "/"))
        kind = attributes.get("Type", "").rpartition("/")[2]
        self.found[attributes.get("Id", "")] = kind, posixpath.normpath(where).lstrip("/")
        if len(self.found) > MOST_SHEETS:
            raise BadTableError(TOO_LARGE)


class _Styles(_Heard):
    """Which formats of cells make a date of a number, or a time span."""

    def __init__(self, formats: Formats) -> None:
        self._formats = formats
        self._codes: dict[str, str] = {str(number): code for number, code in BUILTIN_FORMATS.items()}
        self._count = -1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")[:LONGEST_FORMAT]
        elif name == "cellXfs":
            self._count = 0
        elif name == "xf" and self._count >= 0:
            self._note(self._codes.get(attributes.get("numFmtId", "0"), ""))
        if max(self._count, len(self._codes)) > MOST_FORMATS:
            raise BadTableError(TOO_LARGE)

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._count = -1

    def _note(self, code: str) -> None:
        tests: list[tuple[Callable[[str], bool], set[int]]] = [
            (is_date_format, self._formats.dates),
            (is_timedelta_format, self._formats.spans),
        ]
        for matches, found in tests:
            if matches(code):
                found.add(self._count)
        self._count += 1
