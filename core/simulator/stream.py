"""Which server-sent events carry an answer, and how much had been generated at each of them?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.simulator.errors import ApiError
from core.simulator.generation import Generation, Part
from core.simulator.tokens import count_text
from core.simulator.usage import delta_usage, with_output

PIECE = re.compile(r"(?:\s*\S+){1,3}")  # up to three words: splitting at white space keeps the token sum


@dataclass(frozen=True)
class Event:
    """One event. `output`, `thinking` and `searches` count what was generated up to and with it."""

    name: str
    data: Mapping[str, Any]
    output: int
    thinking: int
    searches: int

    @property
    def is_delta(self) -> bool:
        """Whether it counts for a fault's `after=N`."""
        return self.name == "content_block_delta"

    def encode(self) -> bytes:
        """The event on the wire."""
        return encode_event(self.name, self.data)


def encode_event(name: str, data: Mapping[str, Any]) -> bytes:
    """`event: …`, `data: …` and an empty line."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "surrogatepass")


def error_event(error: ApiError, request_id: str) -> bytes:
    """An `error` event after a 200."""
    return encode_event("error", error.body(request_id))


def stream_events(message: Mapping[str, Any], generation: Generation) -> Iterator[Event]:
    """The full event stream of a message; `message` is the answer as JSON would be."""
    usage = message["usage"]
    start = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {**usage, "output_tokens": min(1, generation.output_tokens)},
    }
    del start["usage"]["output_tokens_details"]
    start["usage"].pop("server_tool_use", None)
    yield Event("message_start", {"type": "message_start", "message": start}, 0, 0, 0)
    output = thinking = searches = 0
    for index, part in enumerate(generation.parts):
        for event in _part_events(index, part):
            kind, tokens = part.block["type"], event.output
            output += tokens
            thinking += tokens if kind == "thinking" else 0
            searches += kind == "web_search_tool_result" and event.name == "content_block_start"
            yield Event(event.name, event.data, output, thinking, searches)
        if index == 0:
            yield Event("ping", {"type": "ping"}, output, thinking, searches)
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    final = delta_usage(with_output(usage, output, thinking, searches))
    data = {"type": "message_delta", "delta": delta, "usage": final}
    yield Event("message_delta", data, output, thinking, searches)
    yield Event("message_stop", {"type": "message_stop"}, output, thinking, searches)


def _part_events(index: int, part: Part) -> Iterator[Event]:
    """Start, deltas and stop of one block; here `output` is what each event alone generated."""
    start = {"type": "content_block_start", "index": index, "content_block": _empty(part.block)}
    yield Event("content_block_start", start, 0, 0, 0)
    left = part.tokens
    for delta, tokens in _deltas(part):
        spent = left if tokens is None else min(tokens, left)
        left -= spent
        yield Event("content_block_delta", _delta(index, delta), spent, 0, 0)
    yield Event("content_block_stop", {"type": "content_block_stop", "index": index}, left, 0, 0)


def _delta(index: int, delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _empty(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block as it starts: what the deltas will fill is empty."""
    emptied: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
    }
    return {**block, **emptied.get(str(block["type"]), {})}


def _deltas(part: Part) -> Iterator[tuple[dict[str, Any], int | None]]:
    """The deltas of a block with the tokens of each; None stands for all that is left."""
    kind = part.block["type"]
    if kind == "thinking":
        for piece in PIECE.findall(part.text):
            yield {"type": "thinking_delta", "thinking": piece}, count_text(piece)
        yield {"type": "signature_delta", "signature": part.block["signature"]}, None
    elif kind == "text":
        for piece in _pieces(part.text):
            yield {"type": "text_delta", "text": piece}, count_text(piece)
    elif kind in ("tool_use", "server_tool_use"):
        yield {"type": "input_json_delta", "partial_json": ""}, 0
        for piece in _pieces(part.text):
            yield {"type": "input_json_delta", "partial_json": piece}, count_text(piece)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces; what is left at its end (white space) belongs to the last one."""
    position = 0
    matches = list(PIECE.finditer(text))
    for number, match in enumerate(matches):
        position = len(text) if number == len(matches) - 1 else match.end()
        yield text[match.start() : position]
    if text and not matches:
        yield text
