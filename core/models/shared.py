"""How do threads that change a row each at the same moment share a round trip and a commit?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import connection, transaction

from core.hints.per_process import PerProcess
from core.hints.together import Together
from core.models import direct
from core.models.direct import Change

# Changes in one transaction.
MOST = 64


def make(change: Change) -> bool:
    """As `change.make()`; together with those of other threads where the caller has no transaction open."""
    if connection.in_atomic_block:
        return change.make()
    made = _together.get().do(change)
    if made:
        change.apply()
    return made


def make_all(changes: Sequence[Change]) -> list[bool]:
    """Which of these took place, in one transaction; the objects stay as they are."""
    order = sorted(range(len(changes)), key=lambda each: changes[each].row.pk)
    with transaction.atomic():
        done = direct.run_all([changes[each].step for each in order])
    took_place = {each: bool(one.rows) for each, one in zip(order, done, strict=True)}
    return [took_place[each] for each in range(len(changes))]


_together: PerProcess[Together[Change, bool]] = PerProcess(
    partial(Together, Change.make, make_all, MOST, direct.let_go)
)
