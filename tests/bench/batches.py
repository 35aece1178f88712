"""How long do 100,000 rows take to Claude and back into the books, and in how much memory?

The body is read as a program sends it, piece by piece. Timed are, first, reading, writing down, reserving (with one
budget for all) and submitting; second, collecting and settling. Claude is a process that answers at once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone

from core.batches import clock
from core.batches.reading import SentBatch
from core.batches.start import start
from core.models import Batch, BatchPart, Budget, BudgetWindow, Call, ClaudeModel, CostRecord, Key, Price, User
from tests.bench.gateway.servers import free_port

MOST_SUBMITTING, MOST_COLLECTING, MOST_MEGABYTES = 180, 300, 300
TEXT = "Which kind of letter is this? Dear Sir or Madam, the invoice of last week has not been paid. " * 10


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    key = _make_book()
    port = free_port()
    settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{port}"
    upstream = subprocess.Popen([sys.executable, "-m", "tests.bench.upstream_batches", str(port)])
    try:
        time.sleep(1)
        return _measured(key, arguments.rows)
    finally:
        upstream.terminate()
        upstream.wait()


def _measured(key: Key, rows: int) -> dict[str, Any]:
    began = time.monotonic()
    start(Batch(user=key.user, key=key), SentBatch(_Body(rows).read).rows())
    written = time.monotonic()
    clock.tend()
    submitted = time.monotonic()
    BatchPart.objects.update(next_at=timezone.now())
    clock.tend()
    collected = time.monotonic()
    batch, window = Batch.objects.get(), BudgetWindow.objects.get()
    spent = sum((amount or Decimal(0) for amount in CostRecord.objects.values_list("amount", flat=True)), Decimal(0))
    return {
        "rows": rows,
        "seconds_writing": round(written - began, 1),
        "seconds_submitting": round(submitted - began, 1),
        "seconds_collecting": round(collected - submitted, 1),
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "right": batch.status == Batch.Status.ENDED
        and batch.succeeded == rows == Call.objects.filter(status=Call.Status.SUCCEEDED).count()
        and (window.spent, window.reserved) == (spent, Decimal(0)),
    }


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures that were asked for are reached."""
    return bool(
        figures["right"]
        and figures["seconds_submitting"] <= MOST_SUBMITTING
        and figures["seconds_collecting"] <= MOST_COLLECTING
        and figures["megabytes"] <= MOST_MEGABYTES
    )


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    return "\n".join(
        [
            figures["machine"]["database"],
            "",
            f"| {figures['rows']:,} rows | bound | measured |",
            "|---|---:|---:|",
            f"| read, written down, reserved | none | {figures['seconds_writing']} s |",
            f"| the same and submitted | {MOST_SUBMITTING} s | {figures['seconds_submitting']} s |",
            f"| collected and settled | {MOST_COLLECTING} s | {figures['seconds_collecting']} s |",
            f"| most memory of the process | {MOST_MEGABYTES} MB | {figures['megabytes']} MB |",
        ]
    )


class _Body:
    """What a program sends, made while it is read."""

    def __init__(self, rows: int) -> None:
        self._pieces = self._made(rows)

    def read(self, _size: int) -> bytes:
        return next(self._pieces, b"")

    def _made(self, rows: int) -> Iterator[bytes]:
        yield b'{"requests":['
        for first in range(0, rows, 200):
            items = [self._item(number) for number in range(first, min(first + 200, rows))]
            yield ("," if first else "").encode() + ",".join(items).encode()
        yield b"]}"

    def _item(self, number: int) -> str:
        message = {"role": "user", "content": f"{number}: {TEXT}"}
        return json.dumps(
            {"custom_id": f"row-{number}", "params": {"model": "bench", "max_tokens": 200, "messages": [message]}}
        )


def _make_book() -> Key:
    user = User.objects.create(username="bench")
    model = ClaudeModel.objects.create(pk="bench", display_name="Bench", max_input_tokens=200_000)
    Price.objects.create(
        model=model, valid_from="2020-01-01", input=1, output=5, approved_at=timezone.now(), source="bench"
    )
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1_000_000, owner=user)
    return Key.objects.create(name="bench", user=user)
