"""How do the results of a part become ended calls, however often they are read and wherever that breaks off?"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from core.batches.ending import CHUNK, Ending, close, count_open, end_rows
from core.batches.leases import asks, wait_after
from core.batches.pieces import by_bytes
from core.claude import batches as claude
from core.claude.errors import ClaudeError
from core.claude.replies import storable
from core.costs.bulk import remembered_prices
from core.costs.estimate import PricesOf
from core.costs.ledger import Exchange
from core.models import BatchPart, BatchRow, Call
from core.models.away import AWAY

log = logging.getLogger(__name__)

# Between two looks at a batch: a tenth of its age, within these.
SHORTEST_LOOK = dt.timedelta(seconds=2)
LONGEST_LOOK = dt.timedelta(minutes=5)
# Readings of results that lack rows, which take most of an hour, and refusals that pass, which take a day.
MOST_READINGS, MOST_TRIES = 10, 150
EXPIRED = "Claude did not come to this request within 24 hours. Nothing was billed for it."


def look(part: BatchPart, now: dt.datetime) -> None:
    """Ask how far a part is that Claude has; collect it where it is done. This process has it in hand."""
    assert part.provider_id is not None  # noqa: S101 - what is sent has one
    try:
        if part.batch.cancel_asked_at and part.cancel_sent_at is None:
            claude.cancel(part.provider_id)
            part.change(cancel_sent_at=now)
        known = claude.retrieve(part.provider_id)
    except ClaudeError as error:
        _not_now(part, error)
        return
    if not known.ended:
        part.change(tries=0, problem="")
        part.let_go(_until_next_look(now - known.created_at))
    elif not known.results_there:
        asks(part, "Claude has archived this batch, and its results with it.")
    else:
        part.change(state=BatchPart.State.READY, tries=0, problem="")
        collect(part)


def _until_next_look(age: dt.timedelta) -> dt.timedelta:
    return max(SHORTEST_LOOK, min(LONGEST_LOOK, age / 10))


def collect(part: BatchPart) -> None:
    """End each row by its result. Whatever ended before stays; what broke off is read again from the start."""
    assert part.provider_id is not None  # noqa: S101 - what is sent has one
    prices = remembered_prices()
    try:
        with closing(claude.results(part.provider_id)) as results:
            for chunk in by_bytes(results, lambda each: each.size, CHUNK):
                _end(part, _endings(part, chunk), prices)
    except ClaudeError as error:
        _not_now(part, error)
        return
    missing = count_open(part)
    if missing:
        _incomplete(part, missing)
    else:
        close(part)


def _end(part: BatchPart, endings: Sequence[Ending], prices: PricesOf) -> None:
    """End these rows; where one of them cannot be, the others all the same."""
    try:
        end_rows(part, endings, prices)
    except AWAY:
        # The database is away, which is no row's fault.
        raise
    except Exception:
        log.exception("batch %s: %s rows", part.provider_id, len(endings))
        if len(endings) > 1:
            half = len(endings) // 2
            _end(part, endings[:half], prices)
            _end(part, endings[half:], prices)


def _incomplete(part: BatchPart, missing: int) -> None:
    """What has a result is booked. Perhaps the rest comes; where it never does, nobody here can know what it cost."""
    lacks = f"Claude's results lack {missing:,} of {part.sent:,} requests, or cannot be read there"
    if part.tries + 1 >= MOST_READINGS:
        asks(part, f"{lacks}. The others are booked. Look again, or give these up with an unknown cost.")
        return
    part.change(tries=part.tries + 1, problem=f"{lacks}; they are read once more.")
    part.let_go(wait_after(part.tries))


def _not_now(part: BatchPart, error: ClaudeError) -> None:
    log.warning("part %s of batch %s: %s %s", part.number, part.batch.public_id, error.status, error)
    if error.status == 404:
        # Another key's, deleted there, or gone after 29 days: only a person can know.
        asks(part, f"Claude does not know its batch {part.provider_id}: {error.message}")
        return
    if part.tries + 1 >= MOST_TRIES:
        asks(part, f"Claude does not say what became of its batch {part.provider_id}: {error}")
        return
    part.change(tries=part.tries + 1, problem=str(error)[:500])
    part.let_go(wait_after(part.tries, error.retry_after))


def _endings(part: BatchPart, lines: Sequence[claude.Result]) -> list[Ending]:
    """What these results say of rows of this part; of two of one row, that with the answer, which is billed."""
    results: dict[int, Mapping[str, Any]] = {}
    for line in lines:
        position = part.position_of(line.custom_id)
        if position is None or not understood(line.result):
            log.warning("batch %s has an odd result: %s", part.provider_id, line.custom_id[:80] or "without a name")
        elif results.get(position, {}).get("type") != "succeeded":
            results[position] = line.result
    return [_ending(part, position, call_id, results[position]) for position, call_id in _calls(part, results)]


def understood(result: Mapping[str, Any]) -> bool:
    """Whether what an answer or an error has to have is there, in its shape."""
    if result.get("type") == "succeeded":
        message = result.get("message")
        return (
            isinstance(message, Mapping)
            and isinstance(message.get("usage"), Mapping)
            and isinstance(message.get("content"), list)
            and all(isinstance(block, Mapping) for block in message["content"])
        )
    error = result.get("error") or {}
    return isinstance(error, Mapping) and isinstance(error.get("error") or {}, Mapping)


def _calls(part: BatchPart, positions: Mapping[int, Any]) -> Iterator[tuple[int, uuid.UUID]]:
    rows = BatchRow.objects.filter(batch_id=part.batch_id, position__in=list(positions))
    yield from rows.values_list("position", "call_id")


def _ending(part: BatchPart, position: int, call_id: uuid.UUID, result: Mapping[str, Any]) -> Ending:
    name = f"{part.provider_id}/{part.custom_id(position)}"
    kind = result.get("type")
    if kind == "succeeded":
        return succeeded(call_id, name, result["message"])
    said = storable(dict(result))
    if kind == "errored":
        return errored(call_id, name, said)
    if kind == "expired":
        values = {"status": Call.Status.FAILED, "error_type": "expired", "error_message": EXPIRED}
        return Ending(call_id, "expired", values, result=said)
    if kind == "canceled":
        return Ending(call_id, "canceled", {"status": Call.Status.CANCELED}, result=said)
    # Nobody knows whether that is billed.
    values = {"status": Call.Status.DEAD, "error_type": "unknown_result", "error_message": f"A result of type {kind}."}
    return Ending(call_id, "errored", values, Exchange(model="", request_id=name), said)


def succeeded(call_id: uuid.UUID, name: str, message: Mapping[str, Any]) -> Ending:
    """A row with an answer. Results have no request ids of their own: batch and name stand for one."""
    content = storable(message.get("content") or [])
    usage = message.get("usage") or {}
    values = {
        "status": Call.Status.SUCCEEDED,
        "text": "".join(block.get("text") or "" for block in content if block.get("type") == "text"),
        "content": content,
        "envelope": storable({key: value for key, value in message.items() if key != "content"}),
        "stop_reason": message.get("stop_reason") or "",
        "model": message.get("model") or "",
        "request_id": name,
    }
    exchange = Exchange(
        model=message.get("model") or "",
        request_id=name,
        # Whatever is in a batch is at its price.
        raw_usage={**usage, "service_tier": usage.get("service_tier") or "batch"},
        complete=True,
    )
    return Ending(call_id, "succeeded", values, exchange)


def errored(call_id: uuid.UUID, name: str, result: dict[str, Any]) -> Ending:
    """A row that Claude refused or failed at; it is not billed."""
    body = result.get("error") or {}
    error = body.get("error") or {}
    values = {
        "status": Call.Status.FAILED,
        "error_type": str(error.get("type") or "api_error")[:60],
        "error_message": str(error.get("message") or ""),
        "request_id": name,
    }
    return Ending(call_id, "errored", values, result=result)
