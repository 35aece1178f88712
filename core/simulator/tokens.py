"""How many tokens is this? The same number today, tomorrow, in `count_tokens` and in `usage`.

Not the real tokenizer: a word of up to six letters is one token, a longer one several, a sign is one. For English that
comes to about four characters a token. Splitting a text at white space never changes the sum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(r"[\u3040-\u9fff\uac00-\ud7af]|[^\W\u3040-\u9fff\uac00-\ud7af]{1,6}|[^\w\s]")

REQUEST_OVERHEAD = 7
MESSAGE_OVERHEAD = 3
TOOLS_OVERHEAD = 280  # the system prompt that explains tool use
IMAGE_TOKENS = 1500
BYTES_PER_IMAGE_TOKEN = 700
BYTES_PER_PDF_TOKEN = 60


@dataclass(frozen=True)
class PromptBlock:
    """One piece of the prompt in the order in which the model reads it; `ttl` is set where a cache breakpoint is."""

    text: str
    tokens: int
    ttl: str | None = None


def count_text(text: str) -> int:
    """Tokens of a text."""
    return sum(1 for _ in TOKEN.finditer(text))


def count_prompt(params: Mapping[str, Any]) -> int:
    """Tokens of a whole request: what `count_tokens` answers."""
    return sum(block.tokens for block in prompt_blocks(params))


def prompt_blocks(params: Mapping[str, Any]) -> list[PromptBlock]:
    """The prompt as the cache sees it: tools, system, messages."""
    blocks = [*_tool_blocks(params), *_system_blocks(params), *_message_blocks(params)]
    automatic = params.get("cache_control")
    if automatic and blocks and not blocks[-1].ttl:
        last = blocks[-1]
        blocks[-1] = PromptBlock(last.text, last.tokens, _ttl({"cache_control": automatic}))
    return blocks


def _tool_blocks(params: Mapping[str, Any]) -> Iterator[PromptBlock]:
    tools = params.get("tools") or []
    if tools:
        yield PromptBlock("<tools>", TOOLS_OVERHEAD)
    for tool in tools:
        text = _canonical(tool)
        yield PromptBlock(text, count_text(text), _ttl(tool))


def _system_blocks(params: Mapping[str, Any]) -> Iterator[PromptBlock]:
    output_format = (params.get("output_config") or {}).get("format")
    if output_format:
        text = _canonical(output_format["schema"])
        yield PromptBlock(text, count_text(text))
    system = params.get("system") or ""
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield PromptBlock(block["text"], count_text(block["text"]), _ttl(block))


def _message_blocks(params: Mapping[str, Any]) -> Iterator[PromptBlock]:
    yield PromptBlock("<messages>", REQUEST_OVERHEAD)
    for message in params["messages"]:
        yield PromptBlock(message["role"], MESSAGE_OVERHEAD)
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield PromptBlock(_canonical(block), _count_block(block), _ttl(block))


def _count_block(block: Mapping[str, Any]) -> int:
    if block["type"] == "text":
        return count_text(block["text"])
    if block["type"] == "image":
        return _count_image(block["source"])
    if block["type"] == "document":
        return _count_document(block)
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        return 10 + sum(map(_count_block, block["content"]))
    return count_text(_canonical(block))


def _count_image(source: Mapping[str, Any]) -> int:
    if source["type"] != "base64":
        return IMAGE_TOKENS
    return max(50, min(IMAGE_TOKENS, len(source["data"]) // BYTES_PER_IMAGE_TOKEN))


def _count_document(block: Mapping[str, Any]) -> int:
    source = block["source"]
    if source["type"] == "text":
        return count_text(source["data"])
    if source["type"] == "content" and isinstance(source["content"], str):
        return count_text(source["content"])
    if source["type"] == "content":
        return sum(map(_count_block, source["content"]))
    return max(500, len(source.get("data", "")) // BYTES_PER_PDF_TOKEN)


def _ttl(block: Mapping[str, Any]) -> str | None:
    control = block.get("cache_control")
    return (control.get("ttl") or "5m") if control else None


def _canonical(value: Mapping[str, Any]) -> str:
    """The text of a block without its cache mark: moving a breakpoint changes neither hash nor count."""
    clean = {key: item for key, item in value.items() if key != "cache_control"}
    return json.dumps(clean, sort_keys=True, ensure_ascii=False)
