"""How do cost records get into the daily and monthly sums, each exactly once?

A record is pending until one transaction has added it to the sums and removed its pending row. Whatever happens to the
process that does so, a record is either pending or in the sums, never both and never neither.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from core.models import PendingRollup

# So many records are taken at once: enough to be quick, few enough to hold locks for a moment only.
BATCH = 5000
# What is summed, by which expression over `r`, the record, and `o`, the one that it corrects.
# A record that puts an unknown one right takes it off the count, on its own day.
MEASURES: dict[str, str] = {
    "amount": "coalesce(r.amount, 0)",
    "records": "1",
    "unknown": (
        "CASE WHEN r.amount IS NULL THEN 1 ELSE 0 END"
        " - CASE WHEN o.id IS NOT NULL AND o.amount IS NULL THEN 1 ELSE 0 END"
    ),
    "input_tokens": (
        "coalesce(r.input_tokens, 0) + coalesce(r.cache_write_5m_tokens, 0)"
        " + coalesce(r.cache_write_1h_tokens, 0) + coalesce(r.cache_read_tokens, 0)"
    ),
    "output_tokens": "coalesce(r.output_tokens, 0)",
    "saved_by_cache": "coalesce(r.saved_by_cache, 0)",
    "saved_by_batch": "coalesce(r.saved_by_batch, 0)",
}
# The column that names a dimension's value; the same names are used for the addresses of the pages.
COLUMNS: dict[str, str] = {
    "total": "",
    "prompt": "prompt_id",
    "model": "model",
    "user": "user_id",
    "team": "team_id",
    "key": "key_id",
    "lane": "lane",
    "cost_centre": "cost_centre",
}
RECORDS = "core_costrecord r LEFT JOIN core_costrecord o ON o.id = r.corrects_id"
MEASURED = ", ".join(f"{expression} AS {name}" for name, expression in MEASURES.items())
SUMMED = ", ".join(f"sum({name}) AS {name}" for name in MEASURES)
_KEY = "dimension, grain, starts_on, value"
_ADDED = ", ".join(f"{name} = core_spendrollup.{name} + excluded.{name}" for name in MEASURES)
_INSERT = f"INSERT INTO core_spendrollup ({_KEY}, {', '.join(MEASURES)})"
_ADD = f"ON CONFLICT ({_KEY}) DO UPDATE SET {_ADDED}"


def value_of(dimension: str) -> str:
    """The SQL for a record's value of a dimension, a text; empty where it has none."""
    column = COLUMNS[dimension]
    return f"coalesce(CAST(r.{column} AS text), '')" if column else "''"


def month_of(day: str) -> str:
    """The SQL for the first day of a day's month."""
    if connection.vendor == "postgresql":
        return f"CAST(date_trunc('month', {day}) AS date)"
    return f"substr({day}, 1, 8) || '01'"


def roll_up(limit: int = BATCH) -> int:
    """Add up to `limit` pending records to the sums; answers how many. Safe in parallel, and to kill at any point."""
    with transaction.atomic():
        # PostgreSQL: what another process is at work on is passed over. SQLite: one transaction at a time.
        pending = PendingRollup.objects.select_for_update(skip_locked=True).order_by("pk")
        taken = list(pending.values_list("pk", flat=True)[:limit])
        if taken:
            _add(taken)
            _remove(taken)
    return len(taken)


def roll_up_all(limit: int = BATCH) -> int:
    """Until nothing is left that nobody else has in hand; answers how many records were added."""
    done = 0
    while taken := roll_up(limit):
        done += taken
    return done


def rebuild_rollups() -> None:
    """Make the sums anew from the ledger: for repair, after the demo was removed, and after a bulk load.

    Pending records are left out and stay pending, so that the books stay open meanwhile; only `roll_up` waits.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("LOCK TABLE core_spendrollup IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM core_spendrollup")
        for dimension in COLUMNS:
            cursor.execute(_rebuild_days(dimension))
        cursor.execute(
            f"{_INSERT} SELECT dimension, 'month', {month_of('starts_on')}, value, {SUMMED}"  # noqa: S608 - our names
            f" FROM core_spendrollup WHERE grain = 'day' GROUP BY 1, 3, 4 ORDER BY 1, 3, 4"
        )


def wrong_rollups() -> list[str]:
    """Which sums differ from the ledger's, one line each; none, unless a table was changed by hand.

    Reads the whole ledger. One statement, hence one moment, for each dimension.
    """
    return [line for dimension in COLUMNS for line in _wrong(dimension)]


def _wrong(dimension: str) -> list[str]:
    """The ledger's sums, less the pending records' and the rollups': what does not come to nothing is wrong."""
    negative = ", ".join(f"-{name} AS {name}" for name in MEASURES)
    day = f"r.booked_on AS starts_on, {value_of(dimension)} AS value, {MEASURED}"
    arms = [
        f"SELECT '{grain}' AS grain, {start} AS starts_on, value, {', '.join(MEASURES)} FROM"  # noqa: S608 - our names
        f" (SELECT {day} FROM {RECORDS} WHERE NOT EXISTS"
        f" (SELECT 1 FROM core_pendingrollup p WHERE p.record_id = r.id)) AS ledger"
        for grain, start in (("day", "starts_on"), ("month", month_of("starts_on")))
    ]
    arms.append(f"SELECT grain, starts_on, value, {negative} FROM core_spendrollup WHERE dimension = '{dimension}'")  # noqa: S608 - our names
    differs = " OR ".join(f"sum({name}) <> 0" for name in MEASURES)
    statement = f"SELECT grain, starts_on, value FROM ({' UNION ALL '.join(arms)}) AS both_sides GROUP BY 1, 2, 3"  # noqa: S608 - our names
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} HAVING {differs} ORDER BY 2, 1, 3")
        return [f"{dimension} «{value}», {grain} of {starts_on}" for grain, starts_on, value in cursor.fetchall()]


def _add(taken: Sequence[int]) -> None:
    """One statement for all dimensions and grains. Its order keeps two processes from waiting for each other."""
    arms = " UNION ALL ".join(
        f"SELECT '{dimension}' AS dimension, '{grain}' AS grain, {start} AS starts_on,"  # noqa: S608 - our names
        f" {dimension}_value AS value, {', '.join(MEASURES)} FROM taken"
        for dimension in COLUMNS
        for grain, start in (("day", "booked_on"), ("month", month_of("booked_on")))
    )
    values = ", ".join(f"{value_of(dimension)} AS {dimension}_value" for dimension in COLUMNS)
    statement = (
        f"WITH taken AS (SELECT r.booked_on, {values}, {MEASURED} FROM {RECORDS} WHERE {_among('r.id')})"  # noqa: S608
        f" {_INSERT} SELECT {_KEY}, {SUMMED} FROM ({arms}) AS rows_of_all WHERE true GROUP BY {_KEY} ORDER BY {_KEY}"
        f" {_ADD}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, _ids(taken))


def _remove(taken: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM core_pendingrollup WHERE {_among('record_id')}", _ids(taken))  # noqa: S608


def _rebuild_days(dimension: str) -> str:
    """In order, so that what is read together lies together, as it does where the sums grew day by day."""
    return (
        f"{_INSERT} SELECT '{dimension}', 'day', day, value, {SUMMED} FROM"  # noqa: S608 - our names
        f" (SELECT r.booked_on AS day, {value_of(dimension)} AS value, {MEASURED} FROM {RECORDS}"
        f" WHERE NOT EXISTS (SELECT 1 FROM core_pendingrollup p WHERE p.record_id = r.id)) AS ledger"
        f" GROUP BY day, value ORDER BY day, value"
    )


def _among(column: str) -> str:
    """The SQL that says that a column's number is in a list, given as one parameter however long it is."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - our names


def _ids(taken: Sequence[int]) -> list[Any]:
    return [list(taken)] if connection.vendor == "postgresql" else [json.dumps(list(taken))]
