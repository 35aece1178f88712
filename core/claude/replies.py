"""What did Claude answer, put together from the events of a stream?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """An answer as it grows; whole once `stopped` is set.

    `usage` is what the API reported, as it came: the start holds the input side, and each later report is cumulative,
    so it replaces and is never added.
    """

    request_id: str = ""
    model: str = ""
    content: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    # What the start reports of the output is only its first token; the sum comes near the end.
    usage_complete: bool = False
    stopped: bool = False
    # The message's other fields; and where it came whole, as JSON, its bytes.
    envelope: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""
    _json_parts: dict[int, str] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block.get("type") == "text")

    def take(self, event: dict[str, Any]) -> str:
        """Add one event; answers the text that it brought, often none."""
        handler = _HANDLERS.get(event.get("type", ""))
        return handler(self, event) if handler else ""

    def take_whole(self, raw: bytes) -> None:
        """The answer that came as one JSON message. Raises ValueError where it is none."""
        message = json.loads(raw)
        if not isinstance(message, dict):
            raise ValueError("not a message")
        self.raw = raw
        self.model = message.get("model") or ""
        self.content = message.pop("content", None) or []
        self.stop_reason = message.get("stop_reason") or ""
        self.usage = dict(message.get("usage") or {})
        self.usage_complete = self.stopped = True
        self.envelope = message

    def _start(self, event: dict[str, Any]) -> str:
        message = event["message"]
        self.envelope = {name: value for name, value in message.items() if name != "content"}
        self.model = message.get("model") or ""
        self.usage = dict(message.get("usage") or {})
        return ""

    def _start_block(self, event: dict[str, Any]) -> str:
        block = dict(event["content_block"])
        self.content.append(block)
        return str(block.get("text") or "") if block.get("type") == "text" else ""

    def _grow_block(self, event: dict[str, Any]) -> str:
        index, delta = event["index"], event["delta"]
        block, kind = self.content[index], delta.get("type")
        if kind == "text_delta":
            block["text"] = block.get("text", "") + delta["text"]
            return str(delta["text"])
        if kind == "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "input_json_delta":
            self._json_parts[index] = self._json_parts.get(index, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        return ""

    def _stop_block(self, event: dict[str, Any]) -> str:
        parts = self._json_parts.pop(event["index"], "")
        if parts:
            self.content[event["index"]]["input"] = _parsed(parts)
        return ""

    def _finish(self, event: dict[str, Any]) -> str:
        delta = event.get("delta") or {}
        self.envelope.update(delta)
        self.stop_reason = delta.get("stop_reason") or self.stop_reason
        reported = event.get("usage") or {}
        self.usage.update({key: value for key, value in reported.items() if value is not None})
        self.usage_complete = reported.get("output_tokens") is not None
        self.envelope["usage"] = self.usage
        return ""

    def _stop(self, event: dict[str, Any]) -> str:  # noqa: ARG002 - one signature for all events
        self.stopped = True
        return ""


def _parsed(parts: str) -> Any:
    """A tool's input; where the answer was cut in the middle of it, what had come, as the API's page on it advises."""
    try:
        return json.loads(parts)
    except ValueError:
        return {"INVALID_JSON": parts}


def storable(value: Any) -> Any:
    """`value` as every database can keep it: without NUL and halves of characters, both of which JSON can name."""
    if isinstance(value, str):
        whole = value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


_HANDLERS = {
    "message_start": Reply._start,
    "content_block_start": Reply._start_block,
    "content_block_delta": Reply._grow_block,
    "content_block_stop": Reply._stop_block,
    "message_delta": Reply._finish,
    "message_stop": Reply._stop,
}
