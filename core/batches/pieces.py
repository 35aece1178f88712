"""How many rows does a process work on at once: not too many, and not more bytes than it has room for?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from django.db.models import QuerySet

from core.models import BatchRow

# Bytes of requests or of answers as JSON; held as Python's objects they take several times as much.
MOST_BYTES = 5_000_000

T = TypeVar("T")


def by_bytes(items: Iterable[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """These, up to `most` at once, of which the next piece's first is asked for already; a large one goes alone."""
    piece: list[T] = []
    room = MOST_BYTES
    for item in items:
        size = size_of(item)
        if piece and (size > room or len(piece) == most):
            yield piece
            piece, room = [], MOST_BYTES
        piece.append(item)
        room -= size
    if piece:
        yield piece


def rows_by_bytes(rows: QuerySet[BatchRow], most: int, after: int = -1) -> Iterator[list[BatchRow]]:
    """These rows behind position `after` in their order, as `by_bytes` has them; read anew for each piece."""
    while (last := last_of_piece(rows, most, after)) is not None:
        piece = list(rows.filter(position__gt=after, position__lte=last).order_by("position"))
        for row in piece:
            _untie(row)
        yield piece
        after = last


def _untie(row: BatchRow) -> None:
    """Let a row's call know nothing of the row, so that both are gone at once when nobody needs them any more."""
    if BatchRow.call.is_cached(row):
        row.call._state.fields_cache.pop("batch_row", None)


def last_of_piece(rows: QuerySet[BatchRow], most: int, after: int) -> int | None:
    """The position that the next piece ends with; None where no row is left."""
    alone = rows.select_related(None).prefetch_related(None).filter(position__gt=after).order_by("position")
    sizes = alone.values_list("position", "size")[:most]
    piece = next(by_bytes(sizes, lambda each: each[1], most), None)
    return piece[-1][0] if piece else None
