"""How does a batch look to a program: in the shapes of the API's own?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.batches.bodies import encoded
from core.models import Batch, BatchRow, Call

# Answers that are held at once; each can have half a megabyte.
CHUNK = 100


def as_json(batch: Batch, results_url: str) -> dict[str, Any]:
    """A batch in the shape of the SDK's `MessageBatch`; rows count as processing until all of them have ended."""
    ended = {
        "succeeded": batch.succeeded,
        "errored": batch.errored,
        "canceled": batch.canceled,
        "expired": batch.expired,
    }
    working = {"processing": batch.rows, **dict.fromkeys(ended, 0)}
    counts = {"processing": 0, **ended} if batch.over else working
    status = {Batch.Status.CANCELING: "canceling"}.get(Batch.Status(batch.status), "in_progress")
    return {
        "id": batch.public_id,
        "type": "message_batch",
        "processing_status": "ended" if batch.over else status,
        "request_counts": counts,
        "created_at": _text(batch.created_at),
        "expires_at": _text(batch.expires_at),
        "ended_at": _text(batch.ended_at),
        "cancel_initiated_at": _text(batch.cancel_asked_at),
        "archived_at": None,
        "results_url": results_url if batch.over else None,
    }  # fmt: skip


def _text(moment: dt.datetime | None) -> str | None:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if moment else None


def result_lines(batch: Batch) -> Iterator[bytes]:
    """The results as lines of JSON, many at once; in the order of the requests, though the API promises none."""
    position = -1
    rows = BatchRow.objects.filter(batch=batch).select_related("call").order_by("position")
    rows = rows.only("position", "custom_id", "result", "call__status", "call__content", "call__envelope")
    while chunk := list(rows.filter(position__gt=position)[:CHUNK]):
        position = chunk[-1].position
        lines = [encoded({"custom_id": row.custom_id, "result": result_of(row)}) for row in chunk]
        yield "".join(f"{line}\n" for line in lines).encode()


def result_of(row: BatchRow) -> Mapping[str, Any]:
    """How a row ended, as the API says it."""
    call = row.call
    if call.status == Call.Status.SUCCEEDED:
        return {"type": "succeeded", "message": {**(call.envelope or {}), "content": call.content}}
    # One without the API's own words was canceled here, before it was sent.
    return row.result or {"type": "canceled"}


@dataclass(frozen=True)
class Page:
    """Some of a program's batches, the newest first, and whether there are more in the direction asked for."""

    batches: list[Batch]
    more: bool


def page(batches: Any, limit: int, after: Batch | None, before: Batch | None) -> Page:
    """At most `limit` of these next to the one named, as the API's cursors mean it."""
    if before is not None:
        found = list(batches.filter(pk__gt=before.pk).order_by("pk")[: limit + 1])
        return Page(found[:limit][::-1], len(found) > limit)
    older = batches.filter(pk__lt=after.pk) if after is not None else batches
    found = list(older.order_by("-pk")[: limit + 1])
    return Page(found[:limit], len(found) > limit)
