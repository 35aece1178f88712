"""Is a table read as its owner means it, and everything else refused with a sentence?"""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from collections.abc import Callable

import openpyxl
import pytest

from core.bulk import tables
from core.bulk.tables import BadTableError, open_table
from tests.bulk.sheets import package


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
    moments: list[object] = [dt.date(2026, 11, 22), dt.datetime(2026, 11, 22, 8, 30), dt.time(8, 30)]  # noqa: DTZ001
    others: list[object] = [True, False, '=HYPERLINK("http://x")', 12.0, -0.5, 10**20, dt.timedelta(hours=30)]
    content = excel([f"column {number}" for number in range(10)], [*moments, *others])
    said = ["2026-11-22", "2026-11-22T08:30:00", "08:30:00", "yes", "no", "", "12", "-0.5", f"{10**20}"]
    assert read(content)[1] == [[*said, "1 day, 6:00:00"]]


LOOKS = (
    '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="[$-407]d.\\ mmm;@"/></numFmts><cellStyleXfs><xf/>'
    '</cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="9999"/></cellXfs></styleSheet>'
)
HIDDEN = (
    '<x:workbook><x:workbookPr date1904="1"/><x:sheets><x:sheet name="Old" state="hidden" r:id="t"/>'
    '<x:sheet name="Two" r:id="s1"/></x:sheets></x:workbook>'
)
WRITTEN = (
    '<c t="inlineStr"><is><r><t>in two </t></r><r><t xml:space="preserve">pieces </t></r><rPh><t>xx</t></rPh></is></c>'
    '<c s="1"><v>1.0</v></c><c s="2"><v>1.50</v></c><c t="str"><f>A1</f><v>two_x000D_\nlines_xD800_</v></c>'
    '<c t="e"><f>1/0</f><v>#DIV/0!</v></c><c t="d"><v>2026-11-22T00:00:00</v></c><c s="1"><v>1e300</v></c>'
)


def test_what_other_programs_write_is_read_too() -> None:
    """Without references, with prefixes, with a sheet that is hidden, and counting days from 1904."""
    cells = "".join(f'<x:c t="str"><x:v>c{number}</x:v></x:c>' for number in range(7))
    written = WRITTEN.replace("</", "</x:").replace("<", "<x:").replace("<x:/x:", "</x:")
    one = f"<x:sst><x:sheetData><x:row>{cells}</x:row><x:row>{written}</x:row></x:sheetData></x:sst>"
    table = open_table(io.BytesIO(package(one, book=HIDDEN, looks=LOOKS)))
    assert table.kind == "Excel, sheet «Two»"
    said = ["1904-01-02", "1.5", "two\r\nlines\ufffd", "#DIV/0!", "2026-11-22", "1e300"]
    assert [(line.number, line.cells) for line in table.lines] == [(2, ["in two pieces ", *said])]


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
        (b"\xd0\xcf\x11\xe0old", "of an old kind"),
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
