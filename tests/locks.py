"""When does somebody wait for a lock that a test holds?"""

from __future__ import annotations

import time

import pytest
from django.db import connection

# For what happens where a row is locked.
locks_rows = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks no rows")


def until_somebody_waits() -> None:
    """Come back once somebody waits for a lock; at once on SQLite, whose one writer is waited for anyhow."""
    deadline = time.monotonic() + 30
    while connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)
