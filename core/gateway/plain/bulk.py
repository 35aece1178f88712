"""How does a script have many rows answered at half price, and come back for the answers?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from ninja import Query, Router, Status

from core.batches import cancel as canceling
from core.batches.again import AnotherBatchError, StillComingError
from core.batches.bodies import encoded
from core.batches.live import MOST_ROWS
from core.batches.show import page
from core.batches.start import BadRowError
from core.bulk.progress import progress_of
from core.bulk.scripted import Asked, FaultyRowsError, results_of, skipped_of, start_rows
from core.gateway.batches import from_thread
from core.gateway.entry import take
from core.gateway.errors import Refusal
from core.gateway.messages import name_of
from core.gateway.plain.answers import usd
from core.gateway.plain.asking import sender
from core.gateway.plain.bulk_shapes import BulkAnswer, BulkList, NewBulk
from core.gateway.plain.faults import responses
from core.intake.by_name import version_for
from core.models import Batch, Call

router = Router(tags=["Many rows"])

MOST_FAULTS = 20
# Answers that travel together.
LINES = 200
_NOT_YOURS = "There is no such run of this key."


@router.post("/bulk", response=responses(202, BulkAnswer), summary="Have many rows answered")
def start(request: HttpRequest, body: NewBulk, response: HttpResponse) -> Status[dict[str, Any]]:
    """All rows are reserved for and started, or none. Answers come within 24 hours; ask at `url` how far it is."""
    key = sender(request)
    standing = take(key)
    for name, value in standing.headers().items():
        response[name] = value
    if body.live and len(body.rows) > MOST_ROWS:
        raise Refusal(400, f"live: at most {MOST_ROWS:,} rows can be answered at once")
    digest = hashlib.sha256(request.path.encode() + b"\n" + request.body).hexdigest()
    asked = Asked(body.rows, body.live, body.skip_faulty, body.title or "", name_of(request), digest)
    batch = _started(request, body.prompt, asked)
    response["Location"] = _address(request, batch)
    return Status(202, _told(request, batch))


@router.get("/bulk", response=responses(200, BulkList), summary="The runs of this key")
def listed(
    request: HttpRequest,
    limit: Annotated[int, Query(20, ge=1, le=100)],
    after_id: Annotated[str | None, Query(None, description="The last run of the page before this one.")],
) -> dict[str, Any]:
    """The newest first."""
    after = None if after_id is None else _found(request, after_id)
    found = page(Batch.objects.of_script(sender(request)).select_related("prompt"), limit, after, None)
    data = [_told(request, batch) for batch in found.batches]
    return {"data": data, "has_more": found.more, "last_id": data[-1]["id"] if data else None}


@router.get("/bulk/{bulk_id}", response=responses(200, BulkAnswer), summary="How far a run is", url_name="bulk")
def one(request: HttpRequest, bulk_id: str) -> dict[str, Any]:
    """Its rows by how they ended, and what they cost so far."""
    return _told(request, _found(request, bulk_id))


@router.delete("/bulk/{bulk_id}", response=responses(200, BulkAnswer), summary="Stop a run")
def cancel(request: HttpRequest, bulk_id: str) -> dict[str, Any]:
    """Cancels what has not been worked on; what Claude has worked on by then is billed. 409 where it has ended."""
    batch = _found(request, bulk_id)
    if not canceling.cancel(batch) and batch.status != Batch.Status.CANCELING:
        raise Refusal(409, f"This run is {_status(batch)}: there is nothing left to stop.")
    return _told(request, _found(request, bulk_id))


@router.get(
    "/bulk/{bulk_id}/results",
    response=responses(200, str),
    summary="The answers",
    url_name="bulk_results",
    openapi_extra={"responses": {200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}},
)
def results(request: HttpRequest, bulk_id: str) -> HttpResponse:
    """A line of JSON for each row, in their order: `row`, `status`, `text`, `model`, `cost_usd`, `error`, `call`."""
    lines = _lines(_found(request, bulk_id))
    # An event loop wants to be asked for each piece; a thread reads a plain iterator.
    content: Any = from_thread(lines) if isinstance(request, ASGIRequest) else lines
    answer: Any = StreamingHttpResponse(content, content_type="application/x-ndjson")
    return answer  # type: ignore[no-any-return]


def _started(request: HttpRequest, slug: str, asked: Asked) -> Batch:
    key = sender(request)
    try:
        return start_rows(key, version_for(key, slug), asked)
    except FaultyRowsError as error:
        raise Refusal(400, _sentence(error)) from error
    except BadRowError as error:
        raise Refusal(413 if error.too_large else 400, f"rows.{error.position + 1}: {error}") from error
    except AnotherBatchError as error:
        raise Refusal(422, str(error)) from error
    except StillComingError as error:
        raise Refusal(409, str(error), {"retry-after": "5"}) from error


def _sentence(error: FaultyRowsError) -> str:
    named = [f"rows.{number}: {fault}" for number, fault in list(error.faults.items())[:MOST_FAULTS]]
    more = len(error.faults) - len(named)
    return "; ".join([*named, f"and {more} more"] if more else named)


def _found(request: HttpRequest, bulk_id: str) -> Batch:
    # PostgreSQL cannot be asked for a NUL, and no id has one.
    found = (
        Batch.objects.of_script(sender(request)).select_related("prompt").filter(public_id=bulk_id.replace("\x00", ""))
    )
    batch = found.first()
    if batch is None:
        raise Http404(_NOT_YOURS)
    return batch


def _address(request: HttpRequest, batch: Batch) -> str:
    return request.build_absolute_uri(reverse("plain:bulk", args=[batch.public_id]))


def _status(batch: Batch) -> str:
    if batch.over:
        return "ended"
    return "canceling" if batch.status == Batch.Status.CANCELING else "in_progress"


def _told(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    progress = progress_of(batch)
    return {
        "id": batch.public_id,
        "status": _status(batch),
        "url": _address(request, batch),
        "results_url": request.build_absolute_uri(reverse("plain:bulk_results", args=[batch.public_id])),
        "prompt": batch.prompt.slug if batch.prompt else "",
        "title": batch.title or None,
        "live": batch.live,
        "rows": batch.rows,
        "counts": {
            "answered": progress.answered,
            "failed": progress.failed,
            "canceled": progress.canceled,
            "waiting": progress.waiting,
        },
        "skipped": skipped_of(batch),
        "cost_usd": None if progress.unknown else usd(progress.spent),
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def _lines(batch: Batch) -> Iterator[bytes]:
    waiting: list[str] = []
    for number, call in results_of(batch):
        waiting.append(encoded(_line(number, call)) + "\n")
        if len(waiting) == LINES:
            yield "".join(waiting).encode()
            waiting.clear()
    if waiting:
        yield "".join(waiting).encode()


def _line(number: int, call: Call) -> dict[str, Any]:
    fault = {"type": call.error_type, "message": call.error_message}
    return {
        "row": number,
        "status": call.status,
        "text": call.text if call.finished else None,
        "model": call.model or None,
        "cost_usd": usd(Call.cost_of(call.cost_records.all())) if call.finished else None,
        "stop_reason": call.stop_reason or None,
        "error": fault if call.error_type else None,
        "call": str(call.pk),
    }
