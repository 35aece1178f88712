"""How do several statements get to the database, and their answers back, in one round trip and with little else?

To PostgreSQL, that is; SQLite is no trip away. For each statement psycopg makes a cursor and a query, looks for its
types and waits by itself, which takes many times what libpq takes. Here its wrapper of libpq is given all of them at
once, the start of the transaction too. The values go as text, whose type the server knows from the statement; so a
connection prepares each statement once, whatever its values are.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper
from psycopg import errors, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

# Statements that a connection keeps prepared: far more than there are, should some be made up for each occasion.
MOST_PREPARED = 500
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)
# A kept statement is of no use any more: its columns have other types now, or somebody told the server to forget it.
_OF_NO_USE = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)


class Step(NamedTuple):
    """A statement, and the values that go into it in the places of its `%s`."""

    statement: str
    values: Sequence[Any]


class Done(NamedTuple):
    """How many rows a step changed or found, and what it answered."""

    rows: int
    found: list[tuple[Any, ...]]


def run_all(steps: Sequence[Step]) -> list[Done]:
    """Run these one after another; PostgreSQL gets them all in one round trip.

    None of them may need what another answers. Outside of a transaction PostgreSQL makes one of them all. Where it
    breaks off, the connection is closed: what is still to come on it is nobody's.
    """
    if not steps:
        return []
    database: Any = connections[DEFAULT_DB_ALIAS]
    # Where statements are logged, by Django's own cursor, which can tell what it ran.
    if database.vendor != "postgresql" or database.queries_logged:
        with database.cursor() as run:
            return [_run(run, *step) for step in steps]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        return run_at_once(database.connection, steps, keep=database.settings_dict.get("KEEPS_STATEMENTS", True))


def run_each(statement: str, many: Sequence[Sequence[Any]]) -> list[Done]:
    """The same of one statement with each of these lists of values."""
    return run_all([Step(statement, values) for values in many])


def _run(run: CursorWrapper, statement: str, values: Sequence[Any]) -> Done:
    run.execute(statement, values)
    return Done(run.rowcount, run.fetchall() if run.description else [])


def run_at_once(connection: psycopg.Connection[Any], steps: Sequence[Step], *, keep: bool) -> list[Done]:
    """The same on this connection; `keep` says whether it may keep the statements prepared.

    Raises psycopg's error of the first that failed; those behind it were not run. Where a statement that is kept is of
    no use any more, all of them are sent once more, unless they are part of a transaction that was open before.
    """
    adapter = Transformer(connection)
    # Before anything is sent: what cannot be adapted leaves nothing behind.
    ready = [(step.statement, adapter.dump_sequence(step.values, _as_text(len(step.values)))) for step in steps]
    kept = _kept_by(connection) if keep else None
    at_rest = connection.info.transaction_status == TransactionStatus.IDLE
    try:
        results = _sent(connection, kept, ready)
    except _OF_NO_USE:
        # In a transaction that was open already, what was done before is lost with it.
        if kept is None or not at_rest:
            raise
        connection.rollback()
        results = _sent(connection, kept, ready)
    return [_done(adapter, result) for result in results]


def _sent(connection: psycopg.Connection[Any], kept: _Kept | None, ready: Sequence[tuple[str, Sequence[Any]]]) -> Any:
    with connection.lock:
        return _Trip(connection, kept).make(ready)


def _done(adapter: Any, result: Any) -> Done:
    if not result.nfields:
        return Done(result.command_tuples or 0, [])
    adapter.set_pgresult(result)
    return Done(result.ntuples, adapter.load_rows(0, result.ntuples, tuple))


class _Kept:
    """The names by which a connection keeps statements; none is used twice, for the server may know it still."""

    def __init__(self) -> None:
        self.names: dict[str, bytes] = {}
        self._numbers = itertools.count()

    def new_name(self) -> bytes:
        return b"claudeapp_%d" % next(self._numbers)


def _kept_by(connection: psycopg.Connection[Any]) -> _Kept:
    # On the connection, as it is handed from thread to thread and ends some day.
    kept: _Kept | None = connection.__dict__.get("statements_kept")
    if kept is None:
        kept = connection.__dict__["statements_kept"] = _Kept()
    return kept


class _Trip:
    """One round trip."""

    def __init__(self, connection: psycopg.Connection[Any], kept: _Kept | None) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._kept = kept
        # The statements that the connection gets with this trip: their names, and at which place the answer says so.
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
        failed = next((result for result in results if result.status in _FAILED), None)
        self._remember(results)
        if failed is not None:
            raise self._error_of(failed)
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
        if name is None:
            self._libpq.send_query_params(_as_the_server_has_it(statement), values)
        else:
            self._libpq.send_query_prepared(name, values)
        self._sent += 1
        return self._sent - 1

    def _name_of(self, statement: str) -> bytes | None:
        """By which the connection keeps the statement, from now on where it did not yet; None where it may not."""
        if self._kept is None:
            return None
        known, _ = self._new.get(statement, (self._kept.names.get(statement), 0))
        if known is not None or len(self._kept.names) >= MOST_PREPARED:
            return known
        name = self._kept.new_name()
        self._libpq.send_prepare(name, _as_the_server_has_it(statement))
        self._new[statement] = (name, self._sent)
        self._sent += 1
        return name

    def _remember(self, results: Sequence[Any]) -> None:
        for statement, (name, place) in self._new.items():
            if self._kept is not None and results[place].status not in _FAILED:
                self._kept.names[statement] = name

    def _error_of(self, result: Any) -> psycopg.Error:
        error = errors.error_from_result(result, encoding=self._connection.info.encoding)
        if isinstance(error, _OF_NO_USE) and self._kept is not None:
            self._kept.names.clear()
        return error


def _exchange(libpq: Any, number: int) -> Generator[Any, Any, list[Any]]:
    """Send all, and wait for so many results."""
    yield from generators.send(libpq)
    results = []
    for _ in range(number):
        results += yield from generators.fetch_many(libpq)
    return results


@lru_cache(maxsize=1000)
def _as_the_server_has_it(statement: str) -> bytes:
    """`$1`, `$2` … instead of each `%s`."""
    parts = statement.split("%s")
    numbered = [part + f"${number}" for number, part in enumerate(parts[:-1], start=1)]
    return "".join([*numbered, parts[-1]]).replace("%%", "%").encode()


@lru_cache(maxsize=100)
def _as_text(number: int) -> list[PyFormat]:
    return [PyFormat.TEXT] * number
