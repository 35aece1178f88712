"""Is a table read as its owner means it, and everything else refused with a sentence?"""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
import zipfile
from collections.abc import Callable

import openpyxl
import pytest

from core.bulk import tables
from core.bulk.tables import BadTableError, open_table


def read(content: bytes) -> tuple[list[str], list[list[str]]]:
    table = open_table(io.BytesIO(content))
    return table.columns, [line.cells for line in table.lines]


def excel(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        "name,text\nÄnne,a b\n".encode(),
        "name;text\r\nÄnne;a b\r\n".encode(),
        "name\ttext\nÄnne\ta b".encode(),
        "name|text\nÄnne|a b\n\n\n".encode(),
        '"name";"text"\n"Änne";"a b"\n'.encode("utf-8-sig"),
        "'name','text'\n'Änne','a b'\n".encode(),
        "name,text\nÄnne,a b\n".encode("utf-16"),
        ("name;text\nÄnne;a b\n" + "Müller;schöne Grüße aus Köln\n" * 30).encode("cp1252"),
        excel(["name", "text"], ["Änne", "a b"]),
        excel([None, None], ["name", "text", None], ["Änne", "a b"], [None]),
    ],
    ids=["commas", "semicolons", "tabs", "bars", "quotes", "single quotes", "utf-16", "cp1252", "excel", "gaps"],
)
def test_delimiter_encoding_and_quotes_are_found(content: bytes) -> None:
    columns, rows = read(content)
    assert columns == ["name", "text"]
    assert rows[0] == ["Änne", "a b"]


def test_lines_keep_their_numbers_and_quotes_their_line_breaks() -> None:
    table = open_table(io.BytesIO(b'a,b\n\n"one\ntwo; ""three""",x\ny\n1,2,3\n'))
    found = [(line.number, line.cells, bool(line.fault)) for line in table.lines]
    assert found == [(3, ['one\ntwo; "three"', "x"], False), (5, ["y", ""], False), (6, ["1", "2"], True)]


def test_cells_of_excel_are_read_as_people_see_them_and_formulas_are_not_computed() -> None:
    content = excel(["n", "d", "b", "f"], [12.0, dt.date(2026, 11, 22), True, '=HYPERLINK("http://x")'])
    assert read(content)[1] == [["12", "2026-11-22", "yes", ""]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,a \n1,2\n", "both named «a»"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b"a,b\n1,\x00\n", "neither"),
        (b'a,b\n1,"2"3\n', "Line 2 cannot be read"),
        (b'a,b\n1,"2\n3\n', "Line 2 cannot be read"),
        (b"a,b\n" + b"1,2\n" * 20_000 + b"\xff,2\n", "Save the file as UTF-8"),
        (b"\xd0\xcf\x11\xe0old", "old or a protected"),
        (b"PK\x03\x04no zip", "damaged"),
        (",".join(f"c{n}" for n in range(501)).encode() + b"\n1\n", "500 columns"),
        (excel([f"c{n}" for n in range(501)], [1]), "500 columns"),
        (b"%PDF-1.7\x00\x01\x02", "neither"),
    ],
    ids=range(14),
)
def test_what_is_no_table_is_refused_with_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(BadTableError, match=words):
        read(content)


def packed(name: str, size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, made.open(name, "w") as part:
        for _ in range(size // 1_000_000):
            part.write(b" " * 1_000_000)
    return file.getvalue()


@pytest.mark.parametrize(
    ("limit", "name"), [("MOST_SHARED_TEXTS", "xl/sharedStrings.xml"), ("MOST_UNPACKED", "xl/worksheets/sheet1.xml")]
)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch, limit: str, name: str) -> None:
    monkeypatch.setattr(tables, limit, 5_000_000)
    with pytest.raises(BadTableError, match="too large"):
        read(packed(name, 6_000_000))


def test_too_large_or_too_long_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    with pytest.raises(BadTableError, match="more than 3 rows"):
        read(b"a,b\n" + b"1,2\n" * 4)
    monkeypatch.setattr(tables, "MOST_BYTES", 10)
    with pytest.raises(BadTableError, match="can be read"):
        read(b"a,b\n" + b"1,2\n" * 4)


def csv_of(rows: list[list[object]]) -> bytes:
    return b"a,b\n" + b"".join(f"{first},{second}\n".encode() for first, second in rows)


@pytest.mark.parametrize("make", [csv_of, lambda rows: excel(["a", "b"], *rows)], ids=["csv", "excel"])
def test_a_long_table_takes_no_more_memory_than_a_short_one(make: Callable[[list[list[object]]], bytes]) -> None:
    content = make([[number, "some text " * 5] for number in range(5000)])
    file = io.BytesIO(content)
    tracemalloc.start()
    try:
        table = open_table(file)
        count = sum(1 for _ in table.lines)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5000
    assert peak < 1_500_000
