"""Does bad input get a sentence that says what and where, with nothing started and nothing spent?"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from claudeapp.slow_clients import LARGEST_BODY, timed_asgi
from core.bulk import clock
from core.models import Batch, BulkRun, Call, Prompt, UploadPiece
from core.simulator.server import Simulator
from tests.batches.test_tables import excel
from tests.bulk.conftest import ended, started
from tests.bulk.sheets import package
from tests.bulk.test_story import csv_of, text_of

pytestmark = pytest.mark.django_db

MIXED = b"Document,Length\n" + b"One.,short\n" * 20_000 + b"\xff\xfe\xff,short\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b" \n\n ", "The file is empty."),
        (b"Document,Length\n", "The table has a heading and no rows."),
        (b"%PDF-1.7\x00\x01\x02\x03", "This is neither a CSV file nor an Excel file."),
        (b"PK\x03\x04 no archive at all", "This Excel file is damaged, or is none."),
        (b"\xd0\xcf\x11\xe0 an old one", "This is an Office file of an old kind, and no table that can be read."),
        (b"Document,document\nA,B\n", "Line 1: columns 1 and 2 are both named «document»."),
        (b"Document,,Length\nA,B,short\n", "Line 1: column 2 has no name."),
        (b'Document,Length\nOne.,short\n"Two.,short\n', "Line 3 cannot be read as CSV: unexpected end of data."),
        (MIXED, "Save the file as UTF-8."),
        (b",".join(b"c%d" % number for number in range(100_000)) + b"\n1\n", "The table has more than 500 columns."),
        (b",".join(b"c%d" % number for number in range(1_000_000)) + b"\n1\n", "The row that begins in line 1"),
        (excel([f"c{number}" for number in range(2000)], ["x"]), "The table has more than 500 columns."),
        (b"Document,Length\nOne." + b"x" * 1_100_000 + b",short\n", "Line 2 cannot be read as CSV: field larger than"),
    ],
    ids=[
        "blank", "heading only", "pdf", "no archive", "old excel", "twice", "nameless", "open quote", "encodings",
        "many columns", "million columns", "excel columns", "long cell",
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_a_sentence(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator, content: bytes, sentence: str
) -> None:
    run = upload(content)
    if run.at_work:
        # A large one is read by a worker.
        clock.tend()
        run.refresh_from_db()
    html = text_of(page, run)
    assert run.state == "refused"
    assert sentence in html
    assert "Nothing was sent and nothing was billed." in html
    assert_nothing_started(page, run, claude)


def assert_nothing_started(page: Client, run: BulkRun, claude: Simulator) -> None:
    assert started(page, run).batch is None
    clock.tend()
    assert not Batch.objects.exists()
    assert not Call.objects.exists()
    assert claude.bill()["entries"] == []


def test_missing_columns_are_asked_for_by_name(page: Client, upload: Callable[..., BulkRun], claude: Simulator) -> None:
    run = upload("Kundentext;Length\nOne.;short\n")
    assert "Which column holds «Document»?" in text_of(page, run)
    assert_nothing_started(page, run, claude)


def test_where_every_row_has_a_fault_nothing_can_be_started(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator
) -> None:
    run = upload("Document;Length\nOne.;huge\nTwo.;tiny\n")
    assert "There is no row to send." in text_of(page, run)
    page.post(f"{run.get_absolute_url()}start/", {"lane": "batch", "skip": "on", "seen": run.revision})
    assert_nothing_started(page, run, claude)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.bulk.packages.MOST_UNPACKED", 5_000_000)
    run = upload(package(b" " * 6_000_000), "bomb.xlsx")
    assert "Unpacked, this Excel file is too large. Save the table as CSV." in text_of(page, run)
    assert_nothing_started(page, run, claude)


def test_a_file_that_is_too_large_is_refused_and_not_kept(
    page: Client, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.pages.bulk_forms.MOST_BYTES", 1_000_000)
    file: Any = SimpleUploadedFile("large.csv", b"Document\n" + b"A line.\n" * 400_000)
    html = page.post("/bulk/new/", {"prompt": prompt.slug, "file": file}).content.decode()
    assert "The file has 3 MB; at most 1 MB can be read." in html
    assert not BulkRun.objects.exists()
    assert not UploadPiece.objects.exists()


def test_a_gigabyte_is_refused_before_any_of_it_is_read() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("its body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        assert (await receive())["type"] == "http.disconnect"

    async def ask() -> None:
        headers = [(b"content-length", str(4 * LARGEST_BODY).encode())]
        await timed_asgi(application, 5)({"type": "http", "headers": headers}, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 413


def test_a_file_is_needed_and_an_empty_one_is_none(page: Client, prompt: Prompt) -> None:
    assert "Please choose a file." in page.post("/bulk/new/", {"prompt": prompt.slug}).content.decode()
    file: Any = SimpleUploadedFile("empty.csv", b"")
    assert "The file is empty." in page.post("/bulk/new/", {"prompt": prompt.slug, "file": file}).content.decode()
    assert not BulkRun.objects.exists()


def test_formulas_are_not_computed_and_come_back_so_that_no_spreadsheet_computes_them(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator
) -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1"]
    quoted = "".join(
        '"{}";short;"{}"\n'.format(f"Letter {n}", text.replace('"', '""')) for n, text in enumerate(formulas)
    )
    run = ended(started(page, upload(f"Document;Length;=cmd|x\n{quoted}")))
    heading, *lines = csv_of(page, run)
    assert heading[2] == "'=cmd|x"
    assert [line[2] for line in lines] == [f"'{text}" for text in formulas]
    response: Any = page.get(f"{run.get_absolute_url()}results.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(response.streaming_content))).active
    assert [row[2].value for row in sheet.iter_rows(min_row=2)] == formulas
    assert {row[2].data_type for row in sheet.iter_rows(min_row=2)} == {"s"}


def test_hostile_text_stays_text_on_the_page_and_in_the_request(page: Client, upload: Callable[..., BulkRun]) -> None:
    hostile = "<script>alert(1)</script> {{ x|safe }} {{length}}"
    run = upload(f"Document;Length;<b>Note\n{hostile};short;x\n;short;<img src=x>\n")
    html = text_of(page, run)
    assert "<script>alert" not in html
    assert "<img src=x>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ x|safe }} {{length}}" in html
