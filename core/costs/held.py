"""What do reservations of many calls hold once those are settled, and what of it do their windows count?"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from core.costs import notices, statements
from core.costs.statements import Held
from core.models import Call
from core.models.round_trip import Done, Step, run_all

NOTHING = Decimal(0)
_HELD_OF = """
    SELECT r.call_id, r.id, r.window_id, r.amount, r.held, r.spent, r.released_at, b.thresholds
    FROM core_reservation r
    JOIN core_budgetwindow w ON w.id = r.window_id
    JOIN core_budget b ON b.id = w.budget_id
    WHERE r.call_id {among} ORDER BY r.call_id, r.window_id{lock}"""
_STAND_OF = """
    SELECT c.id, c.status, r.id, r.amount, r.corrects_id
    FROM core_call c LEFT JOIN core_costrecord r ON r.call_id = c.id
    WHERE c.id {among}"""


@dataclass(frozen=True)
class OfCall:
    """One of the reservations of a call."""

    call_id: uuid.UUID
    reservation: Held


class Stand(NamedTuple):
    """What the ledger says of a call: is it finished, how many exchanges cost nobody knows what, and the others?"""

    finished: bool
    unknown: int
    spent: Decimal


def bring(call_ids: Sequence[uuid.UUID], known: Mapping[uuid.UUID, Stand] | None = None) -> None:
    """Bring the reservations of these calls to what the ledger says of them, in the transaction that changed it.

    `known` is what it says, where the caller has just written that.
    """
    reservations = found(call_ids)
    if reservations:
        changes = Changes(reservations, stands(call_ids) if known is None else known)
        changes.tell(run_all(changes.steps()))


def found(call_ids: Sequence[uuid.UUID]) -> list[OfCall]:
    """The reservations of these calls, locked."""
    return found_in(run_all([asking(call_ids)])[0])


def asking(call_ids: Sequence[uuid.UUID]) -> Step:
    """Finds the reservations of these calls and locks them, in the order of the calls and their windows."""
    lock = " FOR UPDATE OF r" if connection.vendor == "postgresql" else ""
    return statements.of_calls(_HELD_OF, call_ids, lock=lock)


def found_in(done: Done) -> list[OfCall]:
    return [OfCall(_as_uuid(call_id), statements.held_row(rest)) for call_id, *rest in done.found]


def stands(call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Stand]:
    """What the ledger says of each of these calls."""
    if not call_ids:
        return {}
    rows: defaultdict[Any, list[Any]] = defaultdict(list)
    for call_id, *rest in run_all([statements.of_calls(_STAND_OF, call_ids)])[0].found:
        rows[_as_uuid(call_id)].append(rest)
    return {call_id: _stand_of(each) for call_id, each in rows.items()}


def _stand_of(rows: Sequence[Sequence[Any]]) -> Stand:
    """What a call's rows say: its status, and each record's id, amount and what it corrects."""
    records = [(pk, amount, corrects) for _, pk, amount, corrects in rows if pk is not None]
    corrected = {corrects for _, _, corrects in records}
    unknown = sum(amount is None and pk not in corrected for pk, amount, _ in records)
    # A correction carries the difference, so that all amounts are summed.
    spent = sum(amount for _, amount, _ in records if amount is not None)
    return Stand(rows[0][0] in Call.FINISHED, unknown, statements.dollars(spent))


class Changes:
    """What becomes of reservations: each once, and each window once, last, for all calls share its row."""

    def __init__(self, held: Sequence[OfCall], stands: Mapping[uuid.UUID, Stand]) -> None:
        pairs = [(each.reservation, after(each.reservation, stands[each.call_id])) for each in held]
        self._pairs = [(before, now) for before, now in pairs if now != before]
        self._windows = sorted({before.window_id for before, _ in self._pairs})

    def steps(self) -> list[Step]:
        changes = [
            statements.counting(window_id, self._sum(window_id, "spent"), self._sum(window_id, "held"))
            for window_id in self._windows
        ]
        return [*statements.bringing(now for _, now in self._pairs), *changes]

    def tell(self, done: Sequence[Done]) -> None:
        """To be called with what became of the steps: who is to be told that a budget is being used up?"""
        counted = done[len(done) - len(self._windows) :]
        for window_id, one in zip(self._windows, counted, strict=True):
            of_all, limit = statements.counted_in(one)
            spent = self._sum(window_id, "spent")
            if spent > 0:
                thresholds = next(before.thresholds for before, _ in self._pairs if before.window_id == window_id)
                notices.notice(window_id, thresholds, of_all - spent, of_all, limit)

    def _sum(self, window_id: int, column: str) -> Decimal:
        pairs = [pair for pair in self._pairs if pair[0].window_id == window_id]
        return sum((getattr(now, column) - getattr(before, column) for before, now in pairs), NOTHING)


def after(reservation: Held, stand: Stand) -> Held:
    """What it holds, or less, and spent where the ledger says this of its call; the rule is `budgets.settle`'s."""
    attempts = stand.unknown + (not stand.finished)
    kept = min(reservation.held, reservation.amount * attempts)
    return replace(reservation, held=kept, spent=stand.spent, released=attempts == 0)


def _as_uuid(value: Any) -> uuid.UUID:
    # SQLite knows none.
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
