"""Which call speaks for a row of a table, once the row has been run again, and which rows have no answer yet?

What repeats a row points at the call that it repeats, and may be repeated itself. All of them together are the row's
family: its calls in later runs of the table, once those have been started, and calls by which its person ran it again
alone with the same values. One that was run with other values is another question, and no answer to the row.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from core.models import Batch, Call

WITHOUT_ANSWER = (Call.Status.FAILED, Call.Status.DEAD, Call.Status.CANCELED)

# SEED selects the calls to begin with. A chain of repeats may be of any length; no query of Django's goes along it.
_FAMILIES = """
    WITH RECURSIVE family (root, member) AS (
        SEED
        UNION ALL
        SELECT family.root, again.id
        FROM family
            JOIN core_call again ON again.again_of_id = family.member
            JOIN core_call root ON root.id = family.root AND root.user_id = again.user_id
            LEFT JOIN core_batchrow place ON place.call_id = again.id
            LEFT JOIN core_batch batch ON batch.id = place.batch_id
        WHERE CASE WHEN batch.door = 'bulk' THEN batch.started_at IS NOT NULL
            ELSE again.version_id = root.version_id AND again.inputs = root.inputs END
    ), stands (root, member, batch, failed) AS (
        SELECT root, member, batch_id, CASE WHEN status IN ('failed', 'dead', 'canceled') THEN 1 ELSE 0 END
        FROM family JOIN core_call ON id = member LEFT JOIN core_batchrow ON call_id = member
    )
    ASKED"""
_COUNT = _FAMILIES.replace(
    "SEED",
    """SELECT id, id FROM core_batchrow JOIN core_call ON id = call_id
        WHERE batch_id = %s AND status IN ('failed', 'dead', 'canceled')""",
).replace("ASKED", "SELECT count(*) FROM (SELECT root FROM stands GROUP BY root HAVING min(failed) = 1) unanswered")
_OVERTAKEN = _FAMILIES.replace(
    "SEED", "SELECT again_of_id, again_of_id FROM core_batchrow JOIN core_call ON id = call_id WHERE batch_id = %s"
).replace(
    "ASKED",
    "SELECT 1 FROM stands WHERE member <> root AND failed = 0 AND (batch IS NULL OR batch <> %s) LIMIT 1",
)
_OF_A_MEMBER = ("pk", "again_of_id", "status", "created_at", "batch_row__batch__door", "batch_row__batch__started_at")
_SHOWN = ["status", "lane", "parked", "text", "error_message", "error_type", "model"]


def newest_of(calls: Iterable[Call]) -> dict[uuid.UUID, Call]:
    """For those of these calls that ended without an answer and were repeated: the call that speaks for each now.

    That is its newest answer; without one, what is still under way; and otherwise the last that was tried. In a few
    queries for each time that one of them was repeated, however many there are.
    """
    families = _families([call.pk for call in calls if call.status in WITHOUT_ANSWER])
    best = {root: max(family, key=_standing).pk for root, family in families.items()}
    if not best:
        return {}
    found = Call.objects.filter(pk__in=best.values()).only(*_SHOWN).prefetch_related("cost_records").in_bulk()
    # One that was removed between the two questions speaks for nothing.
    return {root: found[pk] for root, pk in best.items() if pk in found}


class _Member(NamedTuple):
    """One that repeats a call, itself or by others in between."""

    pk: uuid.UUID
    again_of: uuid.UUID
    status: str
    created_at: dt.datetime
    door: str | None
    started_at: dt.datetime | None

    @property
    def of_a_run(self) -> bool:
        return self.door == Call.Door.BULK


def _standing(member: _Member) -> tuple[bool, bool, dt.datetime, uuid.UUID]:
    under_way = member.status not in Call.FINISHED
    return member.status == Call.Status.SUCCEEDED, under_way, member.created_at, member.pk


def _families(roots: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[_Member]]:
    families: dict[uuid.UUID, list[_Member]] = {}
    root_of = {root: root for root in roots}
    while root_of:
        found = [_Member(*row) for row in Call.objects.filter(again_of__in=root_of).values_list(*_OF_A_MEMBER)]
        alone = _same([(each.pk, root_of[each.again_of]) for each in found if not each.of_a_run])
        members = [each for each in found if (each.started_at if each.of_a_run else each.pk in alone)]
        for each in members:
            families.setdefault(root_of[each.again_of], []).append(each)
        root_of = {each.pk: root_of[each.again_of] for each in members}
    return families


def _same(pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> set[uuid.UUID]:
    """Those of the first calls that ask what the second ones asked, for the same person."""
    ids = {pk for pair in pairs for pk in pair}
    asked = {
        pk: what
        for pk, *what in Call.objects.filter(pk__in=ids).values_list("pk", "user_id", "version_id", "inputs")
    }  # fmt: skip
    return {again for again, root in pairs if asked.get(again) == asked.get(root)}


def count_unanswered(batch: Batch) -> int:
    """How many rows of a batch ended without an answer, and neither have one by now nor are being run again."""
    count: int = _asked(_COUNT, [batch.pk])[0][0]
    return count


def overtaken(batch: Batch) -> bool:
    """Whether a row that this batch is to run again has an answer meanwhile, or is being run again elsewhere."""
    return bool(_asked(_OVERTAKEN, [batch.pk, batch.pk]))


def _asked(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
