"""How is an answer that a call already has given once more, whole or as a stream?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.http import HttpResponse

from core.gateway.errors import STATUS_OF_TYPE, TYPE_OF_STATUS, error_response
from core.gateway.streams import HEADERS, event_bytes
from core.models import Call

# How a block's content arrives: the name of its field, of the delta, and of the delta's field.
_DELTAS = {
    "text": (("text", "text_delta", "text"),),
    "thinking": (("thinking", "thinking_delta", "thinking"), ("signature", "signature_delta", "signature")),
}
_TOOL_USES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def replay(call: Call, *, streamed: bool) -> HttpResponse:
    """The answer or the error of a call that has ended."""
    response = _answer(call, streamed=streamed) if call.status == Call.Status.SUCCEEDED else _error(call)
    if call.cost is not None:
        response.headers["x-claudeapp-cost-usd"] = amount(call.cost)
    return response


def amount(usd: Decimal) -> str:
    """USD as a plain number."""
    return f"{usd.normalize():f}"


def message_of(call: Call) -> dict[str, Any]:
    """The message that the call was answered with, as the API writes it."""
    envelope = {
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "stop_reason": call.stop_reason or None,
        **(call.envelope or {}),
    }
    return {**envelope, "content": call.content}


def events_of(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events that a message would have come in."""
    usage = message.get("usage") or {}
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield "message_start", {"message": begun}
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    ended = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield "message_delta", {"delta": ended, "usage": usage}
    yield "message_stop", {}


def _block_events(index: int, block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    empty, deltas = _taken_apart(block)
    yield "content_block_start", {"index": index, "content_block": empty}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def _taken_apart(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and the deltas that fill it; a kind that knows no deltas is whole from the beginning."""
    kind = str(block.get("type"))
    if kind in _TOOL_USES:
        parts = {"type": "input_json_delta", "partial_json": json.dumps(block.get("input") or {}, ensure_ascii=False)}
        return {**block, "input": {}}, [parts]
    fields = [(name, delta, inner) for name, delta, inner in _DELTAS.get(kind, ()) if block.get(name)]
    empty = {**block, **{name: "" for name, _, _ in fields}}
    deltas = [{"type": delta, inner: block[name]} for name, delta, inner in fields]
    if kind == "text" and block.get("citations"):
        empty["citations"] = []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
    return empty, deltas


def _answer(call: Call, *, streamed: bool) -> HttpResponse:
    message = message_of(call)
    headers = {"request-id": call.request_id} if call.request_id else {}
    if not streamed:
        return HttpResponse(json.dumps(message, ensure_ascii=False), content_type="application/json", headers=headers)
    pieces = [
        event_bytes(name, json.dumps({"type": name, **data}, ensure_ascii=False)) for name, data in events_of(message)
    ]
    kind = "text/event-stream; charset=utf-8"
    return HttpResponse(b"".join(pieces), content_type=kind, headers={**HEADERS, **headers})


def _error(call: Call) -> HttpResponse:
    """The same error again; an SDK that would try once more for its status is told not to."""
    status = call.error_status or 0
    if status < 400:
        status = STATUS_OF_TYPE.get(call.error_type, 500)
    kind = call.error_type if call.error_type in TYPE_OF_STATUS.values() else TYPE_OF_STATUS.get(status, "api_error")
    return error_response(
        status,
        kind,
        call.error_message or "This call was canceled.",
        request_id=call.request_id,
        headers={"x-should-retry": "false"},
    )
