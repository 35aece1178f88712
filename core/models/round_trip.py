"""How do several statements get to PostgreSQL, and their answers back, in one round trip and with little else?

For each statement psycopg makes a cursor and a query, looks for its types and waits by itself, which takes many times
what libpq takes. Here its wrapper of libpq is given all of them at once, the start of the transaction too. The values
go as text, whose type the server knows from the statement; so a connection prepares each statement once, whatever its
values are.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

# Statements that a connection keeps prepared: far more than there are, should some be made up for each occasion.
MOST_PREPARED = 500
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


class Step(NamedTuple):
    """A statement, and the values that go into it in the places of its `%s`."""

    statement: str
    values: Sequence[Any]


class Done(NamedTuple):
    """How many rows a step changed or found, and what it answered."""

    rows: int
    found: list[tuple[Any, ...]]


def run_at_once(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> list[Done]:
    """Run these one after another; none may need what another answers. With autocommit they are one transaction.

    Raises psycopg's error of the first that failed; those behind it were not run. Where it breaks off in the middle,
    the connection is closed: what is still to come on it is nobody's.
    """
    adapter = Transformer(connection)
    # Before anything is sent: what cannot be adapted leaves nothing behind.
    ready = [(step.statement, adapter.dump_sequence(step.values, _as_text(len(step.values)))) for step in steps]
    with connection.lock:
        return [_done(adapter, result) for result in _Trip(connection).make(ready)]


def _done(adapter: Any, result: Any) -> Done:
    if not result.nfields:
        return Done(result.command_tuples or 0, [])
    adapter.set_pgresult(result)
    return Done(result.ntuples, adapter.load_rows(0, result.ntuples, tuple))


class _Trip:
    """One round trip."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        # The names by which this connection keeps statements, and those that it gets with this trip.
        self._names: dict[str, bytes] = connection.__dict__.setdefault("statements_kept", {})
        self._new: dict[str, tuple[bytes, int]] = {}
        # How many answers will come.
        self._sent = 0

    def make(self, ready: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Send these, and answer the result of each."""
        try:
            self._libpq.enter_pipeline_mode()
            self._begin()
            places = [self._send(statement, values) for statement, values in ready]
            self._libpq.pipeline_sync()
            results = self._connection.wait(_exchange(self._libpq, self._sent + 1))
            self._libpq.exit_pipeline_mode()
        except BaseException:
            self._connection.close()
            raise
        self._keep(results)
        for result in results:
            if result.status in _FAILED:
                raise errors.error_from_result(result, encoding=self._connection.info.encoding)
        return [results[place] for place in places]

    def _begin(self) -> None:
        """As psycopg begins a transaction, which takes a round trip of its own there."""
        if self._connection.autocommit or self._libpq.transaction_status != TransactionStatus.IDLE:
            return
        level = self._connection.isolation_level
        kind = f" ISOLATION LEVEL {psycopg.IsolationLevel(level).name.replace('_', ' ')}" if level is not None else ""
        self._libpq.send_query_params(f"BEGIN{kind}".encode(), None)
        self._sent += 1

    def _send(self, statement: str, values: Sequence[Any]) -> int:
        """Answers at which place its result will come."""
        name = self._name_of(statement)
        if name:
            self._libpq.send_query_prepared(name, values)
        else:
            self._libpq.send_query_params(_in_words_of_the_server(statement), values)
        self._sent += 1
        return self._sent - 1

    def _name_of(self, statement: str) -> bytes:
        """Empty where the connection is to keep nothing: somebody may hand it around behind this process's back."""
        name = self._names.get(statement) or self._new.get(statement, (b"", 0))[0]
        number = len(self._names) + len(self._new)
        if name or self._connection.prepare_threshold is None or number >= MOST_PREPARED:
            return name
        name = f"claudeapp_{number}".encode()
        self._libpq.send_prepare(name, _in_words_of_the_server(statement))
        self._new[statement] = (name, self._sent)
        self._sent += 1
        return name

    def _keep(self, results: Sequence[Any]) -> None:
        for statement, (name, place) in self._new.items():
            if results[place].status not in _FAILED:
                self._names[statement] = name


def _exchange(libpq: Any, number: int) -> Generator[Any, Any, list[Any]]:
    """Send all, and wait for so many results."""
    yield from generators.send(libpq)
    results = []
    for _ in range(number):
        results += yield from generators.fetch_many(libpq)
    return results


@lru_cache(maxsize=1000)
def _in_words_of_the_server(statement: str) -> bytes:
    """`$1`, `$2` … instead of each `%s`."""
    parts = statement.split("%s")
    numbered = [part + f"${number}" for number, part in enumerate(parts[:-1], start=1)]
    return "".join([*numbered, parts[-1]]).replace("%%", "%").encode()


@lru_cache(maxsize=100)
def _as_text(number: int) -> list[PyFormat]:
    return [PyFormat.TEXT] * number
