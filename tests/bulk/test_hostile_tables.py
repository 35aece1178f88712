"""Is a file that no spreadsheet would write refused with a sentence, before it costs memory or time?"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from core.bulk import excel, packages, raw
from core.bulk.tables import BadTableError, Line, open_table
from tests.bulk.sheets import HEADING, PARTS, package, sheet

END = "</sheetData></worksheet>"
LONG = "x" * 40_000
# Of memory that a hostile file may cost, however large it is unpacked.
MOST_MEMORY = 30_000_000
UNPACKED = 48_000_000
# Of tags, each of which costs time.
IN_TAGS = 4_000_000


def lines(content: bytes) -> list[Line]:
    return list(open_table(io.BytesIO(content)).lines)


def inline(text: str, place: str = "A2") -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def row(*cells: str, number: int = 2) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (sheet('<row r="99999999999"><c><v>1</v></c></row>'), "a row in it has the number 99999999999, and Excel has"),
        (sheet('<row r="1048577"/>'), "has the number 1048577, and Excel has 1,048,576 rows."),
        (sheet(row(inline("x"), number=9), row(inline("y"), number=3)), "row 3 follows row 9."),
        (sheet('<row r="-5"/>'), "damaged"),
        (sheet(row('<c r="XFE2"><v>1</v></c>')), "row 2 has a cell beyond Excel's 16,384 columns."),
        (sheet(row('<c r="B-2"><v>1</v></c>')), "damaged"),
        (sheet(row('<c t="s"><v>7</v></c>')), "damaged"),
        (sheet(row(*["<c><v>1</v></c>"] * 16_385)), "beyond Excel's 16,384 columns."),
        ("<a>" * 200 + "</a>" * 200, "damaged"),
        ("<r>" + "".join(f"<n{number}/>" for number in range(2000)) + "</r>", "damaged"),
        ("<r>" + "".join(f'<n a{number}="1"/>' for number in range(2000)) + "</r>", "damaged"),
        ('<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>', "damaged"),
        ("<worksheet><sheetData>", "damaged"),
        (sheet(row('<c t="str"><v>1</v></c>')).replace("<worksheet>", "<worksheet xx>"), "damaged"),
    ],
    ids=range(14),
)
def test_a_sheet_that_excel_could_not_have_is_refused(content: str, sentence: str) -> None:
    with pytest.raises(BadTableError, match=sentence):
        lines(package(content))


def test_a_cell_that_is_longer_than_excel_has_any_is_a_fault_of_its_row_alone() -> None:
    shared = f"<sst><si><t>short</t></si><si><r><t>{LONG}</t></r></si></sst>"
    refers = '<c r="B3" t="s"><v>1</v></c>'
    content = sheet(row(inline(LONG)), row(refers, number=3), row('<c t="s"><v>0</v></c>', number=4))
    found = lines(package(content, texts=shared))
    assert [line.fault for line in found] == [
        "Cell A2 has more than 32,767 characters, the most that Excel has in one.",
        "Cell B3 has more than 32,767 characters, the most that Excel has in one.",
        "",
    ]
    assert found[2].cells == ["short", ""]


def test_cells_beyond_the_columns_of_a_table_are_a_fault_and_not_kept() -> None:
    found = lines(package(sheet(row(inline("x"), inline("y", "ZZ2")), row(inline("z", "D3"), number=3))))
    assert [(line.cells, line.fault) for line in found] == [
        (["x", ""], "It has more than 500 cells, and the heading has 2."),
        (["", ""], "It has 4 cells, and the heading has 2."),
    ]


def test_many_references_to_a_long_text_are_too_much_in_a_row_and_in_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST_IN_ROW", 50)
    shared = f"<sst><si><t>{'x' * 30}</t></si></sst>"
    twice = row('<c t="s"><v>0</v></c>', '<c t="s"><v>0</v></c>')
    with pytest.raises(BadTableError, match="Row 2 has more than 50 characters"):
        lines(package(sheet(twice), texts=shared))
    monkeypatch.setattr(raw, "MOST_IN_TABLE", 100)
    often = [row('<c t="s"><v>0</v></c>', number=number) for number in range(2, 9)]
    with pytest.raises(BadTableError, match="Up to row 5 the table has more than 100 characters"):
        lines(package(sheet(*often), texts=shared))


def test_shared_texts_are_limited_wherever_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_SHARED_TEXTS", 1000)
    shared = f"<sst>{'<si><t>some text</t></si>' * 200}</sst>"
    with pytest.raises(BadTableError, match="Unpacked, this Excel file is too large"):
        lines(package(sheet(row(inline("x"))), texts=shared))


@pytest.mark.parametrize("part", ["one", "texts", "looks", "book"])
def test_a_part_that_says_it_is_too_large_is_not_unpacked(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MOST_UNPACKED", 1000)
    monkeypatch.setattr(packages, "MOST_OF_SMALL", 1000)
    more: dict[str, Any] = {part: f"<a>{' ' * 2000}</a>"} if part != "one" else {}
    one = sheet(row(inline("x" * 2000 if part == "one" else "x")))
    with pytest.raises(BadTableError, match="Unpacked, this Excel file is too large"):
        lines(package(one, **more))


def of_parts(parts: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return file.getvalue()


def encrypted(content: bytes) -> bytes:
    """With the mark of a password on each part, in the lists and before the parts."""
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        pieces = content.split(mark)
        content = mark.join([pieces[0], *(each[: place - 4] + b"\x01" + each[place - 3 :] for each in pieces[1:])])
    return content


def compound(*names: str) -> bytes:
    return b"\xd0\xcf\x11\xe0" + b"\x00" * 508 + b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in names)


WITH_PASSWORD = "This Excel file is protected by a password. Save it without one"
ODS = {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (compound("Root Entry", "Workbook"), "This is an Excel file of the old kind (.xls). Save it as .xlsx"),
        (compound("Root Entry", "Workbook", "EncryptedPackage"), WITH_PASSWORD),
        (compound("Root Entry", "WordDocument"), "This is an Office file of an old kind, and no table"),
        (of_parts(ODS), "This is an OpenDocument table (.ods). Save it as .xlsx, or as CSV."),
        (of_parts({"[Content_Types].xml": "<Types/>", "xl/workbook.bin": b"\x00"}), "a binary Excel file (.xlsb)"),
        (of_parts({"[Content_Types].xml": "<Types/>", "word/document.xml": "<x/>"}), "is an archive, and no Excel"),
        (of_parts({"letters.csv": "a,b"}), "This is an archive, and no Excel file. Choose the table itself"),
        (encrypted(package(sheet())), WITH_PASSWORD),
        (package(sheet(), method=zipfile.ZIP_LZMA), "This Excel file is damaged."),
        (of_parts({f"part {number}": "" for number in range(40_000)}), "Unpacked, this Excel file is too large"),
        (of_parts(PARTS), "This Excel file is damaged."),
        (package(sheet())[:-30], "This Excel file is damaged, or is none."),
    ],
    ids=["xls", "password", "doc", "ods", "xlsb", "docx", "zip", "zip password", "lzma", "parts", "no sheet", "cut"],
)
def test_what_is_no_xlsx_that_can_be_read_gets_a_sentence_of_its_own(content: bytes, sentence: str) -> None:
    with pytest.raises(BadTableError) as refused:
        lines(content)
    assert sentence in str(refused.value)


def test_a_list_of_parts_that_lies_about_its_length_is_not_read() -> None:
    content = bytearray(package(sheet()))
    at = content.rindex(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<L", 2**31)
    with pytest.raises(BadTableError):
        lines(bytes(content))


def test_a_line_and_a_row_of_many_lines_are_no_longer_than_a_row_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST_IN_ROW", 100)
    assert len(lines(b"a,b\n" + b"1,2\n" * 100)) == 100
    for content in (b"1," + b"x" * 200 + b"\n", b'1,"' + b"x\n" * 100 + b'"\n', b'1,"x\n",' * 40 + b"\n", b"," * 200):
        with pytest.raises(BadTableError, match="The row that begins in line 3 has more than 100 characters"):
            lines(b"a,b\n1,2\n" + content)


def test_a_columns_name_is_no_text() -> None:
    with pytest.raises(BadTableError, match="column 2 has a name of more than 500 characters"):
        lines(b"a," + b"x" * 501 + b"\n1,2\n")


def test_somebody_hears_of_it_while_no_row_comes() -> None:
    """So that whoever reads can say that they are still at it, and can be told to stop."""
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats > 20:
            raise InterruptedError

    empty = "".join(f'<row r="{number}"/>' for number in range(2, 100_000))
    for content in (package(sheet(empty)), b"a,b\n" + b"\n" * 1000, b"\xd0\xcf\x11\xe0" + b"\x00" * 30_000_000):
        beats = 0
        with pytest.raises((InterruptedError, BadTableError)) as ended:
            list(open_table(io.BytesIO(content), beat).lines)
        assert ended.type is InterruptedError or beats == 21


def repeated(before: str, text: str, after: str, size: int = UNPACKED) -> Iterator[bytes]:
    piece = (text * (1_000_000 // len(text) + 1)).encode()
    yield before.encode()
    for _ in range(size // len(piece)):
        yield piece
    yield after.encode()


def test_none_of_them_costs_memory(tmp_path: Path) -> None:
    start = f"<worksheet><sheetData>{HEADING}"
    in_cell = f'{start}<row r="2"><c t="inlineStr"><is><t>'
    texts = b"".join(repeated("<sst>", "<si/>", "</sst>", IN_TAGS))
    files: dict[str, tuple[Callable[[], bytes], str]] = {
        "a line": (lambda: b"a,b\n" + b"x" * UNPACKED, "The row that begins in line 2 has more than 2,000,000"),
        "columns": (lambda: b"a,b\n" + "Ж,".encode() * (UNPACKED // 3), "The row that begins in line 2 has more than"),
        "rows": (lambda: b"a,b\n" + b"\n" * (IN_TAGS // 4), "The table has a heading and no rows."),
        "a cell": (lambda: package(repeated(in_cell, "x", f"</t></is></c></row>{END}")), "1 rows, 1 with faults"),
        "cells": (lambda: package(repeated(f'{start}<row r="2">', "<c/>", f"</row>{END}")), "beyond Excel's 16,384"),
        "a tag": (lambda: package(repeated(f'{start}<row r="', "1", f'"/>{END}')), "This Excel file is damaged."),
        "tags": (lambda: package(repeated(start, "<a/>", END, IN_TAGS)), "The table has a heading and no rows."),
        "depth": (lambda: package(repeated(start, "<a>", END)), "This Excel file is damaged."),
        "a comment": (lambda: package(repeated(f"{start}<!--", "x", f"-->{END}")), "This Excel file is damaged."),
        "texts": (lambda: package(sheet(row(inline("x"))), texts=texts), "1 rows, 0 with faults"),
    }  # fmt: skip
    for name, (make, _) in files.items():
        (tmp_path / name).write_bytes(make())
    process = subprocess.run(
        [sys.executable, "-m", "tests.bulk.sheets", *(str(tmp_path / name) for name in files)],
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for (name, (_, sentence)), said in zip(files.items(), process.stdout.splitlines(), strict=True):
        came_to, memory = said.split("\t")
        assert sentence in came_to, name
        assert int(memory) < MOST_MEMORY, (name, memory)
