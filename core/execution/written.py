"""What does a caller get when no model answers, and somebody has written what to say then?"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from core.claude.client import Event
from core.claude.replies import Reply

# Stands where a model's id would. No model has it, so nobody takes the answer for Claude's.
MODEL = "claudeapp-fallback"


def written_reply(text: str) -> Reply:
    """The written answer in the shape of a message, at no tokens."""
    reply = Reply()
    reply.take_whole(json.dumps(_message(text), ensure_ascii=False).encode())
    return reply


def events_of(reply: Reply) -> Iterator[Event]:
    """The same as a stream of the API's events."""
    start = {**reply.envelope, "content": [], "stop_reason": None}
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    yield _event("message_start", message=start)
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _event("content_block_delta", reply.text, index=0, delta={"type": "text_delta", "text": reply.text})
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta=delta, usage={"output_tokens": 0})
    yield _event("message_stop")


def _message(text: str) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }


def _event(name: str, text: str = "", **fields: Any) -> Event:
    return Event(name, json.dumps({"type": name, **fields}, ensure_ascii=False), text)
