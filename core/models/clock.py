"""What time is it by the database's clock? It decides whose lease ran out, for the machines' own clocks may differ."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection
from django.db.models.functions import Now

# `NOW_AND` takes what `and_seconds` answers.
_NOW_AND = {
    "postgresql": "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s)",
}
_NOW = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())",
    "sqlite": "SELECT (JULIANDAY('now') - 2440587.5) * 86400",
}


def now_and() -> str:
    """SQL for the present moment and so many seconds: a time that is compared with stored ones."""
    return _NOW_AND[connection.vendor]


def and_seconds(span: dt.timedelta) -> Any:
    """What `now_and` takes."""
    seconds = span.total_seconds()
    return seconds if connection.vendor == "postgresql" else f"{seconds:+.3f} seconds"


def after(span: dt.timedelta = dt.timedelta()) -> Any:
    """The same for a queryset."""
    return Now() + span if span else Now()


def read() -> float:
    """Seconds since 1970."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor])
        return float(cursor.fetchone()[0])
