"""Are rows worked on in pieces that fit into memory, however large each of them is?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from core.batches import pieces, send
from core.batches.pieces import by_bytes, rows_by_bytes
from core.batches.start import Row, start
from core.models import Batch, BatchPart, BatchRow, Budget, Call, Key
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended
from tests.batches.rows import request

pytestmark = pytest.mark.django_db

LARGE = "A long letter. " * 20_000
NUMBER = 120
# Of a piece of one megabyte, as Python's objects, SQL and values; all rows would take a hundred.
MOST_MEMORY = 30_000_000


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([], []),
        ([4, 4, 4], [[4, 4], [4]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([50, 1, 50, 50], [[50], [1], [50], [50]]),
        ([1, 1, 1, 1, 1, 1, 1], [[1, 1, 1], [1, 1, 1], [1]]),
    ],
)
def test_a_piece_has_so_many_and_so_much(
    sizes: list[int], found: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 10)
    assert list(by_bytes(sizes, lambda size: size, 3)) == found


def test_each_large_row_is_stored_chosen_sent_and_ended_by_itself(
    begin: Callable[..., Batch], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 1)
    with CaptureQueriesContext(connection) as queries:
        batch = tended(begin("one", "two", "three"))
    statements = [query["sql"] for query in queries]
    assert batch.succeeded == 3
    assert_books_are_the_bill(claude)
    for words in ('INSERT INTO "core_batchrow"', 'INSERT INTO "core_costrecord"'):
        assert sum(words in statement for statement in statements) == 3


@contextmanager
def at_most(size: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def test_large_rows_take_no_more_memory_than_a_piece(
    catalogue: None, claude: Simulator, budget: Budget, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty-six megabytes of requests, one at a time."""
    monkeypatch.setattr(pieces, "MOST_BYTES", 1_000_000)
    budget.amount = 10_000
    budget.save()
    many = (Row(f"row-{number}", request(f"{LARGE}{number}")) for number in range(NUMBER))
    with at_most(MOST_MEMORY):
        batch = start(Batch(user=key.user, key=key), many)
    assert min(BatchRow.objects.values_list("size", flat=True)) > len(LARGE)
    Call.objects.update(status=Call.Status.RUNNING)
    with at_most(MOST_MEMORY):
        assert sum(1 for _ in send.requests(BatchPart.objects.get())) == NUMBER
    with at_most(MOST_MEMORY):
        found = rows_by_bytes(BatchRow.objects.filter(batch=batch).select_related("call"), 500)
        assert max(len(piece) for piece in found) == 3


def test_small_rows_go_together(begin: Callable[..., Batch], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    batch = begin(*map(str, range(20)))
    with django_assert_num_queries(3):
        assert [len(piece) for piece in rows_by_bytes(BatchRow.objects.filter(batch=batch), 500)] == [20]
