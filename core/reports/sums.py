"""What do the rollups and the records that are still pending come to, at one moment?

Each answer is one statement: whole months and single days from the rollups, and the pending records from the ledger.
A database shows one statement one moment, so a record is counted once while it moves from pending into the sums.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from django.db import connection

from core.models.fields import PLACES
from core.reports.periods import Period
from core.reports.rollups import COLUMNS, MEASURED, MEASURES, RECORDS, SUMMED, month_of, value_of


@dataclass(frozen=True)
class Sums:
    """Amounts in USD over the known costs; how many records that is, and how many of unknown cost are not in it."""

    amount: Decimal = Decimal(0)
    records: int = 0
    unknown: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    saved_by_cache: Decimal = Decimal(0)
    saved_by_batch: Decimal = Decimal(0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) - getattr(other, name) for name in _NAMES))


@dataclass(frozen=True)
class Only:
    """Narrows a report to one value of one dimension: a person's own, say."""

    dimension: str
    value: str


# The dearest values of a dimension, the dearest first, and how many values there are.
Dearest = tuple[dict[str, Sums], int]
_NAMES = tuple(item.name for item in fields(Sums))
NOTHING = Decimal(0)
EVERYTHING = Only("total", "")


# The first day that has records which are still pending, where that is known; see `one_moment`.
_pending_from: ContextVar[dt.date] = ContextVar("pending_from", default=dt.date.min)


@contextmanager
def one_moment() -> Iterator[None]:
    """All statements inside see the database as it was at the first of them; nothing is written and nobody waits.

    So it is asked once for which days records are pending: hardly ever for those of long ago, whose sums are whole.
    """
    with _one_snapshot():
        known = _pending_from.set(_first_pending_day())
        try:
            yield
        finally:
            _pending_from.reset(known)


@contextmanager
def _one_snapshot() -> Iterator[None]:
    if connection.in_atomic_block:
        yield
        return
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if connection.vendor == "postgresql" else "BEGIN DEFERRED"
    with connection.cursor() as cursor:
        cursor.execute(begin)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def _first_pending_day() -> dt.date:
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(r.booked_on) FROM core_pendingrollup p JOIN core_costrecord r ON r.id = p.record_id")
        (first,) = cursor.fetchone()
    return dt.date.max if first is None else _day(first)


def total(period: Period, only: Only = EVERYTHING) -> Sums:
    rows, parameters = _source([only.dimension], period, None if only == EVERYTHING else [only.value])
    return next(iter(_ask(f"SELECT {SUMMED} FROM ({rows}) AS found", parameters, 0)))[1]  # noqa: S608 - our names


def per_value(dimension: str, period: Period, most: int) -> Dearest:
    """The dearest values of a dimension, the dearest first; and how many values there are in all."""
    return per_values([dimension], period, most)[dimension]


def per_values(dimensions: Sequence[str], period: Period, most: int) -> dict[str, Dearest]:
    """As `per_value`, of several dimensions by one statement, which reads the sums and the records once for all."""
    rows, parameters = _source(dimensions, period)
    statement = (
        f"SELECT kind, value, number, {', '.join(MEASURES)} FROM (SELECT kind, value, {SUMMED},"  # noqa: S608 - our names
        " count(*) OVER (PARTITION BY kind) AS number,"
        " row_number() OVER (PARTITION BY kind ORDER BY sum(amount) DESC, sum(unknown) DESC, value) AS place"
        f" FROM ({rows}) AS found GROUP BY kind, value) AS placed WHERE place <= %s ORDER BY place"
    )
    dearest: dict[str, dict[str, Sums]] = {name: {} for name in dimensions}
    numbers = dict.fromkeys(dimensions, 0)
    for (kind, value, number), sums in _ask(statement, [*parameters, most], 3):
        dearest[kind][value], numbers[kind] = sums, int(number)
    return {name: (dearest[name], numbers[name]) for name in dimensions}


def per_step(
    dimension: str, period: Period, *, monthly: bool, values: Sequence[str] | None = None
) -> dict[tuple[dt.date, str], Sums]:
    """The sums of each day, or of the period's part of each month, and value; `values` leaves out the others."""
    rows, parameters = _source([dimension], period, values, daily=not monthly)
    step = month_of("starts_on") if monthly else "starts_on"
    statement = f"SELECT {step} AS step, value, {SUMMED} FROM ({rows}) AS found GROUP BY 1, 2"  # noqa: S608 - our names
    return {(_day(step), str(value)): sums for (step, value), sums in _ask(statement, parameters, 2)}


def own_values(dimension: str, period: Period, user_id: int, most: int) -> Dearest:
    """As `per_value`, of one person's records. From the ledger: no sums are kept for each pair of values."""
    statement = (
        f"SELECT value, count(*) OVER () AS number, {SUMMED} FROM (SELECT {value_of(dimension)} AS value, {MEASURED}"  # noqa: S608 - our names
        f" FROM {RECORDS} WHERE r.user_id = %s AND r.booked_on BETWEEN %s AND %s) AS found GROUP BY value"
        " ORDER BY sum(amount) DESC, sum(unknown) DESC, value LIMIT %s"
    )
    found = list(_ask(statement, [user_id, period.first, period.last, most], 2))
    return {keys[0]: sums for keys, sums in found}, int(found[0][0][1]) if found else 0


def own_steps(
    dimension: str, period: Period, user_id: int, *, monthly: bool, values: Sequence[str] | None = None
) -> dict[tuple[dt.date, str], Sums]:
    """As `per_step`, of one person's records, from the ledger."""
    step = month_of("r.booked_on") if monthly else "r.booked_on"
    among = f" AND {value_of(dimension)} IN ({_marks(values)})" if values else ""
    statement = (
        f"SELECT step, value, {SUMMED} FROM (SELECT {step} AS step, {value_of(dimension)} AS value, {MEASURED}"  # noqa: S608 - our names
        f" FROM {RECORDS} WHERE r.user_id = %s AND r.booked_on BETWEEN %s AND %s{among}) AS found GROUP BY 1, 2"
    )
    found = _ask(statement, [user_id, period.first, period.last, *(values or ())], 2)
    return {(_day(step), str(value)): sums for (step, value), sums in found}


@dataclass(frozen=True)
class Own:
    """One person's sums: of each value of some dimensions, the dearest first, and of one of them for each step."""

    values: dict[str, dict[str, Sums]]
    steps: dict[tuple[dt.date, str], Sums]


def own(dimensions: Sequence[str], by: str, period: Period, user_id: int, *, monthly: bool) -> Own:
    """What `own_values` and `own_steps` say of several dimensions, with the person's records read once for all."""
    columns = ", ".join(f"{value_of(name)} AS {name}" for name in dimensions)
    step = month_of("r.booked_on") if monthly else "r.booked_on"
    arms = [
        f"SELECT '{name}' AS kind, {name} AS value, NULL AS step, {SUMMED} FROM mine GROUP BY 2"  # noqa: S608 - our names
        for name in dimensions
    ]
    # The first arm gives the columns their types.
    arms.insert(0, f"SELECT '' AS kind, {by} AS value, step, {SUMMED} FROM mine GROUP BY 2, 3")  # noqa: S608 - our names
    statement = (
        f"WITH mine AS MATERIALIZED (SELECT {step} AS step, {columns}, {MEASURED} FROM {RECORDS}"  # noqa: S608 - our names
        f" WHERE r.user_id = %s AND r.booked_on BETWEEN %s AND %s) {' UNION ALL '.join(arms)}"
    )
    found = list(_ask(statement, [user_id, period.first, period.last], 3))
    steps = {(_day(step), str(value)): sums for (kind, value, step), sums in found if not kind}
    values: dict[str, dict[str, Sums]] = {name: {} for name in dimensions}
    for (kind, value, _), sums in sorted(found, key=_dearest_first):
        if kind:
            values[kind][str(value)] = sums
    return Own(values, steps)


def _dearest_first(row: tuple[tuple[Any, ...], Sums]) -> tuple[Decimal, int, str]:
    """Rows whose second column is the value."""
    (_, value, _), sums = row
    return -sums.amount, -sums.unknown, str(value)


def _source(
    dimensions: Sequence[str], period: Period, values: Sequence[str] | None = None, *, daily: bool = False
) -> tuple[str, list[Any]]:
    """The rows to be summed: `kind`, the dimension, `starts_on`, `value` and the measures.

    With `daily` no month comes as one row.
    """
    months = None if daily else period.whole_months()
    parts = [("day", edge) for edge in ([period] if daily else period.edges())]
    if months:
        parts.append(("month", months))
    read = [_rolled(dimensions, grain, part, values) for grain, part in parts]
    if period.last >= _pending_from.get():
        read += [_pending(name, period, values) for name in dimensions]
    columns = ", ".join(f"{value_of(name)} AS of_{name}" for name in dimensions)
    arms = " UNION ALL ".join(arm for arm, _ in read)
    return f"{_waiting(columns)} {arms}", [item for _, parameters in read for item in parameters]


def _rolled(dimensions: Sequence[str], grain: str, part: Period, values: Sequence[str] | None) -> tuple[str, list[Any]]:
    """A part of the period from the sums.

    Of a few values each sum is looked up by its whole key, for the days of all values lie between one value's.
    """
    days: list[dt.date] = [part.first, part.last]
    which = "starts_on BETWEEN %s AND %s"
    if values:
        days = part.months() if grain == "month" else part.days()
        which = f"starts_on IN ({_marks(days)}) AND value IN ({_marks(values)})"
    arm = (
        f"SELECT dimension AS kind, starts_on, value, {', '.join(MEASURES)} FROM core_spendrollup"  # noqa: S608
        f" WHERE dimension IN ({_marks(dimensions)}) AND grain = %s AND {which}"
    )
    return arm, [*dimensions, grain, *days, *(values or ())]


def _pending(dimension: str, period: Period, values: Sequence[str] | None) -> tuple[str, list[Any]]:
    """What is pending of one dimension, for a statement that begins with `_waiting`."""
    among = f" AND of_{dimension} IN ({_marks(values)})" if values else ""
    arm = (
        f"SELECT '{dimension}' AS kind, starts_on, of_{dimension} AS value, {', '.join(MEASURES)} FROM waiting"  # noqa: S608
        f" WHERE starts_on BETWEEN %s AND %s{among}"
    )
    return arm, [period.first, period.last, *(values or ())]


def _waiting(columns: str) -> str:
    """The records that are still pending, by their keys, with these columns.

    Materialised, because a planner that may join them with the days asked for reads all records of those days instead.
    """
    return (
        f"WITH waiting AS MATERIALIZED (SELECT r.booked_on AS starts_on, {columns}, {MEASURED}"  # noqa: S608
        " FROM core_pendingrollup p JOIN core_costrecord r ON r.id = p.record_id"
        " LEFT JOIN core_costrecord o ON o.id = r.corrects_id)"
    )


def _ask(statement: str, parameters: Sequence[Any], keys: int) -> Iterator[tuple[tuple[Any, ...], Sums]]:
    """The rows of an answer: the columns before the measures, and the measures."""
    with connection.cursor() as cursor:
        # Days travel as texts, which both databases read as days.
        cursor.execute(statement, [str(item) if isinstance(item, dt.date) else item for item in parameters])
        for row in cursor.fetchall():
            amount, records, unknown, tokens_in, tokens_out, by_cache, by_batch = row[keys:]
            # Hundreds of them for a page, so each value is converted in the shortest way.
            yield (
                tuple(row[:keys]),
                Sums(
                    _money(amount),
                    int(records or 0),
                    int(unknown or 0),
                    int(tokens_in or 0),
                    int(tokens_out or 0),
                    _money(by_cache),
                    _money(by_batch),
                ),
            )


def _money(stored: Any) -> Decimal:
    return Decimal(int(stored)).scaleb(-PLACES) if stored else NOTHING


def _day(stored: Any) -> dt.date:
    """PostgreSQL answers a date, SQLite its text."""
    return stored if isinstance(stored, dt.date) else dt.date.fromisoformat(stored)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("%s" for _ in values)


DIMENSIONS = tuple(name for name in COLUMNS if name != "total")
