"""How do several statements get to the database, and their answers back, in one round trip and with little else?

To PostgreSQL, that is; SQLite is no trip away. For each statement psycopg makes a cursor and a query, looks for its
types and waits by itself, which takes many times what libpq takes. Here its wrapper of libpq is given all of them at
once, the start of the transaction too. The values go as text, whose type the server knows from the statement; so a
connection prepares each statement once, whatever its values are.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper
from psycopg import errors, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

# Statements that a connection keeps prepared: far more than there are, should some be made up for each occasion.
MOST_PREPARED = 500
# Bytes of values in one trip of a transaction, before its last statement: libpq moves all that is unsent at each write.
MOST_BYTES = 4_000_000
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)
# What the server says of a kept statement whose columns have other types now, or that it was told to forget.
_OF_NO_USE = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)


class OutdatedError(psycopg.OperationalError):
    """A statement that the connection kept is of no use any more. All were let go, so the next try will do."""


class Step(NamedTuple):
    """A statement, and the values that go into it in the places of its `%s`."""

    statement: str
    values: Sequence[Any]


# A statement, and its values as they go over the wire.
_Ready: TypeAlias = tuple[str, Sequence[Any]]


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
    try:
        # Where statements are logged, by Django's own cursor, which can tell what it ran.
        if database.vendor != "postgresql" or database.queries_logged:
            with database.cursor() as run:
                return [_run(run, *step) for step in steps]
        database.ensure_connection()
        database.validate_no_broken_transaction()
        with database.wrap_database_errors:
            return run_at_once(database.connection, steps, keep=database.settings_dict.get("KEEPS_STATEMENTS", True))
    except Exception:
        _break_off(database)
        raise


def _break_off(database: Any) -> None:
    """What failed is not committed, whoever swallows the error; and who tries again gets a connection that works."""
    if database.in_atomic_block:
        database.needs_rollback = True
    elif database.vendor == "postgresql" and database.connection is not None and database.connection.closed:
        database.close()


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
    at_rest = connection.pgconn.transaction_status == TransactionStatus.IDLE
    try:
        results = _sent(connection, kept, ready)
    except OutdatedError:
        # In a transaction that was open already, what was done before is lost with it.
        if not at_rest:
            raise
        connection.rollback()
        results = _sent(connection, kept, ready)
    return [_done(adapter, result) for result in results]


def _sent(connection: psycopg.Connection[Any], kept: _Kept | None, ready: Sequence[_Ready]) -> list[Any]:
    """The results of these, of which those with large values go one after the other where a transaction holds them."""
    whole = connection.autocommit or _size_of(values for _, values in ready) <= MOST_BYTES
    pieces = [ready] if whole else _pieces(ready)
    with connection.lock:
        return [result for piece in pieces for result in _Trip(connection, kept).make(piece)]


def _pieces(ready: Sequence[_Ready]) -> Iterator[Sequence[_Ready]]:
    first, size = 0, 0
    for place, (_, values) in enumerate(ready):
        if size > MOST_BYTES:
            yield ready[first:place]
            first, size = place, 0
        size += _size_of([values])
    yield ready[first:]


def _size_of(many: Iterable[Sequence[Any]]) -> int:
    return sum(map(len, filter(None, itertools.chain.from_iterable(many))))


def _done(adapter: Any, result: Any) -> Done:
    if not result.nfields:
        return Done(result.command_tuples or 0, [])
    adapter.set_pgresult(result)
    return Done(result.ntuples, adapter.load_rows(0, result.ntuples, tuple))


class _Kept:
    """The names by which a connection keeps statements; none is used twice, for the server may know it still.

    Each says what it stands for: behind a pooler that cannot keep them apart, another's would be run instead.
    """

    def __init__(self) -> None:
        self.names: dict[str, bytes] = {}
        self._numbers = itertools.count()

    def new_name(self, statement: str) -> bytes:
        digest = hashlib.sha256(statement.encode()).hexdigest()[:16]
        return f"claudeapp_{digest}_{next(self._numbers)}".encode()


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
        # At which places those answer that it has had before.
        self._old: set[int] = set()
        # How many answers will come, and at which place the next one does.
        self._sent = 0

    def make(self, ready: Sequence[_Ready]) -> list[Any]:
        """Send these, and answer the result of each."""
        try:
            self._libpq.enter_pipeline_mode()
            self._begin()
            places = [self._send(statement, values) for statement, values in ready]
            self._libpq.pipeline_sync()
            results = self._connection.wait(_exchange(self._libpq))
            self._libpq.exit_pipeline_mode()
        except BaseException:
            self._connection.close()
            raise
        self._remember(results)
        failed = next((place for place, result in enumerate(results) if result.status in _FAILED), None)
        if failed is not None:
            raise self._error_of(results[failed], failed)
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
            if statement not in self._new:
                self._old.add(self._sent)
        self._sent += 1
        return self._sent - 1

    def _name_of(self, statement: str) -> bytes | None:
        """By which the connection keeps the statement, from now on where it did not yet; None where it may not."""
        if self._kept is None:
            return None
        known, _ = self._new.get(statement, (self._kept.names.get(statement), 0))
        if known is not None or len(self._kept.names) >= MOST_PREPARED:
            return known
        name = self._kept.new_name(statement)
        self._libpq.send_prepare(name, _as_the_server_has_it(statement))
        self._new[statement] = (name, self._sent)
        self._sent += 1
        return name

    def _remember(self, results: Sequence[Any]) -> None:
        for statement, (name, place) in self._new.items():
            if self._kept is not None and results[place].status not in _FAILED:
                self._kept.names[statement] = name

    def _error_of(self, result: Any, place: int) -> psycopg.Error:
        error = errors.error_from_result(result, encoding=self._connection.info.encoding)
        if self._kept is None or place not in self._old or not isinstance(error, _OF_NO_USE):
            return error
        self._kept.names.clear()
        return OutdatedError(str(error))


def _exchange(libpq: Any) -> Generator[Any, Any, list[Any]]:
    """Send all, and wait for all results; one more than there were statements where the commit itself failed."""
    yield from generators.send(libpq)
    results: list[Any] = []
    while not results or results[-1].status != ExecStatus.PIPELINE_SYNC:
        found = yield from generators.fetch_many(libpq)
        if not found:
            raise psycopg.OperationalError("the server closed the connection in the middle")
        results += found
    return results


@lru_cache(maxsize=1000)
def _as_the_server_has_it(statement: str) -> bytes:
    """`$1`, `$2` … instead of each `%s`, and `%` instead of `%%`."""
    numbers = itertools.count(1)
    return re.sub("%[s%]", lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", statement).encode()


@lru_cache(maxsize=100)
def _as_text(number: int) -> list[PyFormat]:
    return [PyFormat.TEXT] * number
