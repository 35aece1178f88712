"""How long do 100,000 rows take from a table to Claude and back into the books, and who waits meanwhile?

Timed are, first, reading the table, trying each row, writing all down, reserving (with one budget for all) and
submitting; second, collecting and settling. Claude is a process that answers at once. A process of its own asks for the
run's page and the list all the while, as the browsers of those who wait do.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.utils import timezone

from core.bulk import clock, runs
from core.bulk.results import result_rows
from core.models import (
    BatchPart,
    Budget,
    BudgetWindow,
    BulkRun,
    Call,
    ClaudeModel,
    CostRecord,
    Price,
    Prompt,
    User,
    Variable,
)
from core.reports.files import csv_pieces
from tests.bench.gateway.servers import free_port

MOST_SUBMITTING, MOST_COLLECTING, MOST_MEGABYTES, MOST_PAGE = 180, 300, 300, 200
TEXT = "Dear Sir or Madam, the invoice of last week has not been paid. Please look into it. " * 10


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    user, prompt = _make_book()
    port = free_port()
    settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{port}"
    upstream = subprocess.Popen([sys.executable, "-m", "tests.bench.upstream_batches", str(port)])
    try:
        time.sleep(1)
        return _measured(user, prompt, arguments.rows)
    finally:
        upstream.terminate()
        upstream.wait()


def _measured(user: User, prompt: Prompt, rows: int) -> dict[str, Any]:
    assert prompt.published is not None
    with _table(rows) as file:
        found = runs.upload(user, prompt, prompt.published, File(file, "bench.csv"), "bench.csv")
    seconds: dict[str, float] = {}
    with _watched(found) as watched:
        _time(seconds, "checking", lambda: runs.look_after(found))
        found.refresh_from_db()
        runs.start_run(found, found.revision, live=False, skip_faulty=False, address="")
        _time(seconds, "writing", lambda: runs.look_after(found))
        _time(seconds, "sending", clock.tend)
        BatchPart.objects.update(next_at=timezone.now())
        _time(seconds, "collecting", clock.tend)
    found.refresh_from_db()
    began = time.monotonic()
    length = sum(len(piece) for piece in csv_pieces(result_rows(found.batch))) if found.batch else 0
    return {
        "rows": rows,
        **{f"seconds_{name}": round(value, 1) for name, value in seconds.items()},
        "seconds_submitting": round(seconds["checking"] + seconds["writing"] + seconds["sending"], 1),
        "seconds_downloading": round(time.monotonic() - began, 1),
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **watched,
        "right": length > rows and _right(found, rows),
    }


def _time(seconds: dict[str, float], name: str, step: Callable[[], object]) -> None:
    began = time.monotonic()
    step()
    seconds[name] = time.monotonic() - began


def _right(found: BulkRun, rows: int) -> bool:
    window = BudgetWindow.objects.get()
    spent = sum((amount or Decimal(0) for amount in CostRecord.objects.values_list("amount", flat=True)), Decimal(0))
    assert found.batch is not None
    return (
        found.batch.status == found.batch.Status.ENDED
        and found.batch.succeeded == rows == Call.objects.filter(status=Call.Status.SUCCEEDED).count()
        and (window.spent, window.reserved, found.batch.spent) == (spent, Decimal(0), spent)
    )


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures that were asked for are reached."""
    return bool(
        figures["right"]
        and figures["seconds_submitting"] <= MOST_SUBMITTING
        and figures["seconds_collecting"] <= MOST_COLLECTING
        and figures["megabytes"] <= MOST_MEGABYTES
        and figures["page_ms"] <= MOST_PAGE
    )


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    return "\n".join(
        [
            figures["machine"]["database"],
            "",
            f"| {figures['rows']:,} rows of a table | bound | measured |",
            "|---|---:|---:|",
            f"| read and each row tried | none | {figures['seconds_checking']} s |",
            f"| written down and reserved | none | {figures['seconds_writing']} s |",
            f"| all of that, and submitted | {MOST_SUBMITTING} s | {figures['seconds_submitting']} s |",
            f"| collected and settled | {MOST_COLLECTING} s | {figures['seconds_collecting']} s |",
            f"| the file with the answers, as CSV | none | {figures['seconds_downloading']} s |",
            f"| most memory of the process | {MOST_MEGABYTES} MB | {figures['megabytes']} MB |",
            f"| a page meanwhile, 95 of 100 ({figures['pages']:,} asked for) | {MOST_PAGE} ms "
            f"| {figures['page_ms']} ms |",
        ]
    )


@contextmanager
def _table(rows: int) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(b"number;letter;note\n")
        for number in range(rows):
            file.write(f"{number};{TEXT}{number};as it came\n".encode())
        file.seek(0)
        yield file


@contextmanager
def _watched(found: BulkRun) -> Iterator[dict[str, Any]]:
    """Let another process ask for pages; what it saw is in the dict afterwards."""
    figures: dict[str, Any] = {}
    command = [sys.executable, "-m", "tests.bench.watching_pages", str(found.user_id), str(found.pk)]
    watching = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert watching.stdout.readline() == "ready\n"
    try:
        yield figures
    finally:
        said, _ = watching.communicate("stop\n", timeout=60)
        figures.update(json.loads(said))


def _make_book() -> tuple[User, Prompt]:
    user = User.objects.create(username="bench")
    model = ClaudeModel.objects.create(pk="bench", display_name="Bench", max_input_tokens=200_000)
    Price.objects.create(
        model=model, valid_from="2020-01-01", input=1, output=5, approved_at=timezone.now(), source="bench"
    )
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1_000_000, owner=user)
    text = "Which kind of letter is this?\n\n{{letter}}"
    prompt = Prompt.objects.create(name="Sort", slug="sort", template=text, model=model, max_tokens=200)
    Variable.objects.create(prompt=prompt, name="letter", label="Letter", kind=Variable.Kind.LONG_TEXT)
    prompt.publish(None)
    return user, prompt
