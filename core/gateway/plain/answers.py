"""What is a script told about a call?"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from core.gateway.replays import amount
from core.models import Call, CostRecord

# Our name for each count, and the columns that it is the sum of.
_COUNTS = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_creation_input_tokens": ("cache_write_5m_tokens", "cache_write_1h_tokens"),
    "cache_read_input_tokens": ("cache_read_tokens",),
}


def address_of(request: HttpRequest, call: Call) -> str:
    return request.build_absolute_uri(reverse("plain:call", args=[call.pk]))


def chat_answer(call: Call) -> dict[str, Any]:
    """`call` as `POST /api/chat` answers it."""
    usage = usage_of(call)
    return {
        "text": call.text,
        "tokens": None if usage is None else sum(usage.values()),
        "model": call.model,
        "call": call.pk,
        "cost_usd": usd(call.cost),
        "stop_reason": call.stop_reason,
        "written": call.written,
    }


def summary(request: HttpRequest, call: Call) -> dict[str, Any]:
    """`call` in a list. Its prompt and its cost records must have been fetched."""
    return {
        "id": call.pk,
        "status": call.status,
        "url": address_of(request, call),
        "prompt": call.prompt.slug if call.prompt else None,
        "model": call.model or None,
        "cost_usd": usd(call.cost),
        "created_at": call.created_at,
        "finished_at": call.finished_at,
    }


def whole(request: HttpRequest, call: Call) -> dict[str, Any]:
    """All about `call`. The text of one that failed is what had come until then."""
    fault = {"type": call.error_type, "message": call.error_message}
    return {
        **summary(request, call),
        "text": call.text if call.finished else None,
        "reason": call.reason or None,
        "stop_reason": call.stop_reason or None,
        "usage": usage_of(call),
        "error": fault if call.error_type else None,
        "written": call.written,
    }


def usd(cost: Decimal | None) -> str | None:
    """As a text: a number in JSON is a binary fraction for most who read it, and loses digits."""
    return None if cost is None else amount(cost)


def usage_of(call: Call) -> dict[str, int] | None:
    """The tokens of all its exchanges with Claude; None where those of any are not known, or there was none."""
    records = list(call.cost_records.all())
    # Tokens are counted once in a chain of corrections, by the record that first knew them.
    counted = [record for record in records if record.input_tokens is not None]
    exchanges = sum(record.corrects_id is None for record in records)
    if not counted or len(counted) != exchanges:
        return None
    return {name: sum(_whole(counted, columns)) for name, columns in _COUNTS.items()}


def _whole(records: list[CostRecord], columns: Iterable[str]) -> list[int]:
    return [getattr(record, column) or 0 for record in records for column in columns]
