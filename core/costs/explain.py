"""What is the sum of a budget's period made of: spent by what, reserved by which calls, raised by whom?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import QuerySet, Sum

from core.costs.windows import renews_on
from core.models import BudgetRequest, BudgetWindow, Reservation

MOST_SHOWN = 10
# What a reservation's call is summed by, and what to say where it has none.
_BY = {
    "prompts": ("call__prompt__name", "no prompt"),
    "people": ("call__user__username", "not signed in"),
    "models": ("call__model", "not chosen"),
}


@dataclass(frozen=True)
class Part:
    """One of the greatest parts of what was spent; `share` is of 100."""

    name: str
    amount: Decimal
    share: int


@dataclass(frozen=True)
class Explained:
    """A window in figures. What was spent is what calls accepted since the budget exists have cost."""

    window: BudgetWindow
    left: Decimal
    renews_on: dt.date | None
    used: int
    held: int
    spent_by: dict[str, list[Part]]
    holding: Sequence[Reservation]
    raises: Sequence[BudgetRequest]


def explain(window: BudgetWindow, *, with_people: bool = True) -> Explained:
    """The figures of `window`; without people for whoever may not see what others spend."""
    reservations = window.reservations.all()
    holding = reservations.filter(released_at=None, held__gt=0).select_related("call__prompt", "call__user")
    return Explained(
        window=window,
        left=max(Decimal(0), window.limit - window.spent - window.reserved),
        renews_on=renews_on(window),
        used=percent(window.spent, window.limit),
        held=percent(window.reserved, window.limit),
        spent_by={what: _parts(reservations, what, window.spent) for what in _BY if with_people or what != "people"},
        holding=list(holding.order_by("-held", "pk")[:MOST_SHOWN]) if with_people else [],
        raises=list(window.requests.filter(status=BudgetRequest.Status.APPROVED).select_related("user", "decided_by")),
    )


def percent(part: Decimal, whole: Decimal) -> int:
    """Of 100, rounded down so that only what is full looks full; all of a whole that is nothing."""
    return int(part * 100 / whole) if whole else 100


def _parts(reservations: QuerySet[Reservation], what: str, spent: Decimal) -> list[Part]:
    column, nobody = _BY[what]
    sums = reservations.filter(spent__gt=0).values(column).annotate(total=Sum("spent")).order_by("-total")
    rows = sums.values_list(column, "total")[:MOST_SHOWN]
    return [Part(name or nobody, total, percent(total, spent)) for name, total in rows]
