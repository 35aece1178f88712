"""Is an Excel file whole, however long, and does it leave while it is being made?"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from core.reports import workbook

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets_of(content: bytes) -> list[list[list[str]]]:
    """The cells of each sheet in the order of the workbook, as texts; every part has to be sound XML."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        parts = {name: ElementTree.fromstring(book.read(name)) for name in book.namelist()}  # noqa: S314 - our own
    named = parts["xl/workbook.xml"].findall(f"{MAIN}sheets/{MAIN}sheet")
    sheets = [parts[f"xl/worksheets/sheet{number}.xml"] for number in range(1, len(named) + 1)]
    return [[["".join(cell.itertext()) for cell in row] for row in sheet.iter(f"{MAIN}row")] for sheet in sheets]


def lines(number: int) -> Iterator[list[Any]]:
    yield ["number", "name"]
    for index in range(number):
        yield [index, f"name {index}"]


@pytest.mark.parametrize(
    ("number", "lengths"), [(0, [1]), (1, [2]), (999, [1000]), (1000, [1000, 2]), (2500, [1000, 1000, 503])]
)
def test_what_one_sheet_cannot_hold_goes_on_the_next_under_the_same_heading(
    monkeypatch: pytest.MonkeyPatch, number: int, lengths: list[int]
) -> None:
    monkeypatch.setattr(workbook, "ROWS_PER_SHEET", 1000)

    sheets = sheets_of(b"".join(workbook.xlsx_pieces(lines(number))))

    assert [len(sheet) for sheet in sheets] == lengths
    assert all(sheet[0] == ["number", "name"] for sheet in sheets)
    assert [row for sheet in sheets for row in sheet[1:]] == [[str(i), f"name {i}"] for i in range(number)]


def test_a_sheet_ends_before_it_is_too_large_for_a_plain_zip_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "BYTES_PER_SHEET", 50_000)
    sheets = sheets_of(b"".join(workbook.xlsx_pieces(lines(2000))))
    assert len(sheets) > 1
    assert sum(len(sheet) - 1 for sheet in sheets) == 2000


def test_it_leaves_while_its_lines_are_still_being_read() -> None:
    read = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal read
        for line in lines(100_000):
            read += 1
            yield line

    pieces = workbook.xlsx_pieces(counted())
    assert next(pieces)
    assert read < 50_000
    pieces.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("a < b & «c»", "a < b & «c»"),
        ("=1+1", "=1+1"),
        ("bell\x07", "bell_x0007_"),
        ("_x0007_", "_x005F_x0007_"),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (Decimal("0.0000000123"), "0.0000000123"),
        (Decimal("-12.5000000000"), "-12.5000000000"),
        (Decimal("1234567.0123456789"), "1234567.0123456789"),
        (7, "7"),
        ("x" * 40_000, "x" * 32_767),
    ],
)
def test_a_cell_says_what_was_meant(value: Any, cell: str) -> None:
    ((_, (found,)),) = sheets_of(b"".join(workbook.xlsx_pieces(iter([["heading"], [value]]))))
    assert found == cell


@pytest.mark.parametrize(
    ("index", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
)
def test_columns_are_named_as_excel_names_them(index: int, letters: str) -> None:
    assert workbook._letters(index) == letters
