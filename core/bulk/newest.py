"""Which call speaks for a row of a table, once the row has been run again, and which rows have no answer yet?

What repeats a row points at the call that it repeats, and may be repeated itself. All of them together are the row's
family: its calls in later runs of the table, once those have been started, and calls by which its person ran it again
alone with the same values. One that was run with other values is another question, and no answer to the row.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from core.models import Batch, Call
from core.models.direct import stored

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
_MEMBERS = _FAMILIES.replace("ASKED", "SELECT root, member FROM family WHERE member <> root")
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
_SHOWN = ["again_of", "created_at", "status", "text", "error_message", "error_type", "model"]


def newest_of(calls: Iterable[Call]) -> dict[uuid.UUID, Call]:
    """For those of these calls that ended without an answer and were repeated: the call that speaks for each now.

    That is its newest answer; without one, what is still under way; and otherwise the last that was tried.
    """
    members = _members([call.pk for call in calls if call.status in WITHOUT_ANSWER])
    ids = {member for family in members.values() for member in family}
    found = Call.objects.filter(pk__in=ids).only(*_SHOWN).prefetch_related("cost_records").in_bulk() if ids else {}
    return {root: max((found[member] for member in family), key=_standing) for root, family in members.items()}


def _standing(call: Call) -> tuple[bool, bool, object, uuid.UUID]:
    return call.status == Call.Status.SUCCEEDED, not call.finished, call.created_at, call.pk


def _members(roots: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[uuid.UUID]]:
    if not roots:
        return {}
    seed = "SELECT id, id FROM core_call WHERE id IN (PLACES)".replace("PLACES", ", ".join(["%s"] * len(roots)))
    families = defaultdict(list)
    for root, member in _asked(_MEMBERS.replace("SEED", seed), [stored(root) for root in roots]):
        families[_uuid(root)].append(_uuid(member))
    return families


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


def _uuid(stored: uuid.UUID | str) -> uuid.UUID:
    return stored if isinstance(stored, uuid.UUID) else uuid.UUID(stored)
