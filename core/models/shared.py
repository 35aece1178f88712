"""How do threads that change a row each at the same moment share a round trip and a commit?"""

from __future__ import annotations

from collections.abc import Sequence

from core.models.direct import Change
from core.models.grouped import Grouped, transaction_of
from core.models.round_trip import run_all

# Changes in one transaction.
MOST = 64


def make(change: Change) -> bool:
    """As `change.make()`; together with those of other threads where the caller has no transaction open."""
    return _grouped.do(change)


def make_all(changes: Sequence[Change]) -> list[bool]:
    """Which of these took place, in one transaction."""
    order = sorted(range(len(changes)), key=lambda each: changes[each].row.pk)
    with transaction_of(len(changes)):
        done = run_all([changes[each].step for each in order])
    took_place = {each for each, one in zip(order, done, strict=True) if one.rows}
    for each in took_place:
        changes[each].apply()
    return [each in took_place for each in range(len(changes))]


_grouped: Grouped[Change, bool] = Grouped(Change.make, make_all, MOST)
