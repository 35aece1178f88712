"""How do threads of a process that do the same with the database share its round trips and a commit?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from core.hints.per_process import PerProcess
from core.hints.together import Apart, Together
from core.models.round_trip import Step, run_all

T = TypeVar("T")
R = TypeVar("R")

# For how long several wait for a row that somebody else has locked; then each waits for its own. In PostgreSQL's words.
LONGEST_WAIT = "300ms"
_WAIT_BRIEFLY = Step(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'", ())


class Grouped(Generic[T, R]):
    """`Together` for the threads of each process; alone where the caller has a transaction open.

    Nothing of others can become part of that one, and what it has locked they would wait for.
    """

    def __init__(
        self, alone: Callable[[T], R], together: Callable[[Sequence[T]], Sequence[R | Apart]], most: int
    ) -> None:
        self._alone = alone
        self._together: PerProcess[Together[T, R]] = PerProcess(partial(Together, alone, together, most, let_go))

    def do(self, item: T) -> R:
        return self._alone(item) if connection.in_atomic_block else self._together.get().do(item)


@contextmanager
def transaction_of(number: int) -> Iterator[None]:
    """A transaction for so many. One of several that has to wait for a row makes all of them fail, see `Together`."""
    with transaction.atomic():
        if number > 1 and connection.vendor == "postgresql":
            run_all([_WAIT_BRIEFLY])
        yield


def let_go() -> None:
    """Give this thread's connection back to the pool, which has few, unless it is in the middle of a transaction."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql" and not database.in_atomic_block:
        database.close()
