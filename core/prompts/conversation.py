"""How does a Messages request, or an answer's content, read as text? For people, so what is not text is a note."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Characters of one turn that a page shows; a request may be as long as a shelf of books.
LONGEST_SHOWN = 20_000
_SPEAKERS = {"assistant": "Claude", "system": "System prompt"}


@dataclass(frozen=True)
class Turn:
    """Who says it, and what."""

    speaker: str
    text: str


def turns_of(request: Mapping[str, Any], asker: str = "Program") -> list[Turn]:
    """The system prompt and the messages of a request; whatever shape they have, there is something to read."""
    turns = [Turn(_SPEAKERS["system"], readable(request["system"]))] if request.get("system") else []
    messages = request.get("messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            role = str(message.get("role", ""))
            speaker = asker if role == "user" else _SPEAKERS.get(role, role.capitalize())
            turns.append(Turn(speaker, readable(message.get("content"))))
    return turns


def readable(content: Any) -> str:
    """A message's content, text or blocks, as text."""
    if isinstance(content, str):
        text = content
    elif isinstance(content, list):
        text = "\n\n".join(_block(block) for block in content)
    else:
        text = _pretty(content)
    more = len(text) - LONGEST_SHOWN
    return text if more <= 0 else f"{text[:LONGEST_SHOWN]}\n[… {more:,} characters more]"


def _block(block: Any) -> str:
    if not isinstance(block, dict):
        return str(block)
    kind = str(block.get("type", ""))
    return _BLOCKS.get(kind, _other)(block)


def _text(block: Mapping[str, Any]) -> str:
    return str(block.get("text", ""))


def _file(block: Mapping[str, Any]) -> str:
    source = block.get("source")
    if not isinstance(source, dict):
        return _other(block)
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        return f"[{block['type']}]\n{source.get('data', '')}"
    details = [str(block["type"]), str(source.get("media_type") or source.get("url") or source.get("file_id") or "")]
    size = _size(source.get("data"))
    return f"[{', '.join(part for part in [*details, size] if part)}]"


def _size(data: Any) -> str:
    """How large a file is, whose base64 is kept or was left out."""
    size = data.get("omitted") if isinstance(data, dict) else len(data) * 3 // 4 if isinstance(data, str) else None
    if not isinstance(size, int):
        return ""
    return f"{size / 1024:,.0f} KB" if size >= 1024 else f"{size} bytes"


def _tool_use(block: Mapping[str, Any]) -> str:
    return f"[uses the tool «{block.get('name', '')}»]\n{_pretty(block.get('input'))}"


def _tool_result(block: Mapping[str, Any]) -> str:
    return f"[result of a tool]\n{readable(block.get('content', ''))}"


def _thinking(block: Mapping[str, Any]) -> str:
    return f"[thinks]\n{block.get('thinking', '')}".strip()


def _other(block: Mapping[str, Any]) -> str:
    return f"[{str(block.get('type') or 'something').replace('_', ' ')}]"


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


_BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "text": _text,
    "image": _file,
    "document": _file,
    "tool_use": _tool_use,
    "server_tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": lambda _block: "[thinks, unreadably]",
}
