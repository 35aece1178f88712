"""How does a test write a past into books that refuse it?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models, transaction

from core.models import Price, guard


def rewrite_prices(prices: models.QuerySet[Price], **values: Any) -> None:
    """Change approved prices as if they had been entered so."""
    with _unguarded():
        models.QuerySet.update(prices, **values)


def forget_prices(prices: models.QuerySet[Price]) -> None:
    """Delete approved prices as if they had never been entered."""
    with _unguarded():
        models.QuerySet.delete(prices)


@contextmanager
def _unguarded() -> Iterator[None]:
    """The price book's guard is off for this moment, inside one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        # PostgreSQL drops no trigger of a table that foreign keys are still to be looked up for.
        connection.check_constraints()
        for statement in guard.removal(connection, guard.PRICES):
            cursor.execute(statement)
        yield
        connection.check_constraints()
        for statement in guard.installation(connection, guard.PRICES):
            cursor.execute(statement)
