"""Which calls were given up in the queue, of which kinds, and what did they cost so far?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from core.models import Call, CostRecord, Handling, User

# Nobody looks at more kinds than that; what an error is called is Claude's, so that there are few.
MOST_KINDS = 200


@dataclass(frozen=True)
class Kind:
    """Dead letters that have the same error and model in common."""

    error: str
    model: str

    @property
    def filter(self) -> Q:
        return Q(error_type=self.error, model=self.model)


@dataclass(frozen=True)
class Group:
    """One kind, how many of it there are, and what their exchanges cost: `unknown` ones are not in `cost`, in USD."""

    kind: Kind
    number: int
    oldest: dt.datetime
    newest: dt.datetime
    cost: Decimal
    unknown: int


def groups(user: User) -> list[Group]:
    """The dead letters that `user` may read, by kind; the most frequent first."""
    letters = Call.objects.visible_to(user).letters().order_by()
    counted = letters.values("error_type", "model").annotate(
        number=Count("pk"), oldest=Min("dead_since"), newest=Max("dead_since")
    )
    costs = _costs(letters)
    return [
        _group(row, costs.get((row["error_type"], row["model"]), {}))
        for row in counted.order_by("-number", "error_type", "model")[:MOST_KINDS]
    ]


def group_of(user: User, kind: Kind) -> Group | None:
    """One of them; None where there is no such letter any more."""
    return next((group for group in groups(user) if group.kind == kind), None)


def letters_of(user: User, kind: Kind) -> QuerySet[Call]:
    """The dead letters of a kind that `user` may read, the newest first."""
    return Call.objects.visible_to(user).letters().filter(kind.filter).order_by("-dead_since", "-pk")


def handled(user: User) -> QuerySet[Handling]:
    """What was done about dead letters, the newest first."""
    made = Handling.objects.select_related("call__user", "call__prompt", "by", "fresh")
    return made.filter(call__in=Call.objects.visible_to(user)) if not user.has_perm("core.view_all_calls") else made


def _costs(letters: QuerySet[Call]) -> dict[tuple[str, str], Mapping[str, Any]]:
    rows = (
        CostRecord.objects.filter(call__in=letters.values("pk"))
        .order_by()
        .values("call__error_type", "call__model")
        .annotate(cost=Sum("amount"), unknown=Count("pk", filter=Q(amount__isnull=True, correction=None)))
    )
    return {(row["call__error_type"], row["call__model"]): row for row in rows}


def _group(row: Mapping[str, Any], costs: Mapping[str, Any]) -> Group:
    return Group(
        Kind(row["error_type"], row["model"]),
        row["number"],
        row["oldest"],
        row["newest"],
        costs.get("cost") or Decimal(0),
        costs.get("unknown", 0),
    )
