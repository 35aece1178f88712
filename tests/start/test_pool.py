"""How soon is a database found that was away?"""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from claudeapp.environment import POOL_OPTIONS, _database_settings


def test_while_somebody_waits_the_database_is_looked_for_each_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it was away: what waited for it is not to wait for as long once more."""
    options: dict[str, Any] = {**POOL_OPTIONS, "timeout": 3.8}
    caplog.set_level(logging.WARNING, "psycopg.pool")

    with ConnectionPool(f"host={tmp_path} dbname=none", open=True, **options) as pool, pytest.raises(PoolTimeout):
        pool.getconn()

    looked = [record.created for record in caplog.records if "error connecting" in record.getMessage()]
    waits = [later - earlier for earlier, later in itertools.pairwise(looked)]
    assert len(waits) >= 3
    assert max(waits) < 1.5
    assert len(waits) < 15, "and not without a pause"


@pytest.mark.parametrize(
    ("query", "kept"), [("", True), ("?prepare_threshold=5", True), ("?prepare_threshold=None", False)]
)
def test_statements_are_kept_prepared_unless_the_address_says_no(query: str, kept: bool) -> None:
    """A pooler in between may give each transaction another connection."""
    settings: Any = _database_settings(f"postgres://claudeapp@127.0.0.1/claudeapp{query}")
    assert settings["KEEPS_STATEMENTS"] is kept
    assert "prepare_threshold" not in settings["OPTIONS"], "psycopg keeps none by itself"
