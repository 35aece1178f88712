"""How many input tokens can a request have at most, said here without asking anybody?

Claude's tokenizers work on bytes: no token stands for less than one byte of UTF-8, so a text never has more tokens than
bytes. The first of them normalised its text, which can make it longer, so the longer of both forms counts. What is
added around the text (roles, the explanation of tools, of a schema) is published in tens and hundreds of tokens; the
figures here are about twice the published ones.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

PER_REQUEST = 100
PER_MESSAGE = 20
PER_BLOCK = 20
# Source: the API's pages on tool use (at most 530 tokens, 735 more for a tool of its own) and on structured outputs.
FOR_TOOLS = 1000
PER_TOOL = 1000
FOR_A_SCHEMA = 1000
# Source: the API's page on vision; at most 4,784 tokens an image, on the models with the highest resolution.
PER_IMAGE = 5000
# The longest input of any model, in tokens: what a file or an address stands for is not known here.
LONGEST = 1_000_000
# Stands for a longest input while counting; more tokens than any request has bytes.
_UNSEEN = 10**12
# Blocks that are nothing but their text.
_TEXTUAL = {"text", "tool_use", "thinking", "redacted_thinking"}
# Tools that run on our side, by how their type begins; all others run at the provider.
_TOOLS_OF_OURS = ("custom", "bash_", "text_editor_", "computer_", "memory_")
# Server tools begin anew with all they found so far; the API stops after so many rounds of its own accord.
MOST_ROUNDS = 10


def upper_bound(request: Mapping[str, Any], longest: int = LONGEST) -> int:
    """Never less than the input tokens of this Messages request; `longest` is the longest input of its model.

    What cannot be seen here (a PDF, a file, an address, what a server tool finds) counts as a whole longest input.
    """
    seen, unseen = seen_and_unseen(request)
    return seen + unseen * longest


def seen_and_unseen(request: Mapping[str, Any]) -> tuple[int, int]:
    """The most tokens of what is seen here, and how many whole inputs have to stand for what is not."""
    unseen, seen = divmod(_first_round(request, _UNSEEN), _UNSEEN)
    return seen, unseen + server_tool_uses(request)


def server_tool_uses(request: Mapping[str, Any]) -> int:
    """How often the request lets Claude use tools that run at the provider."""
    tools = request.get("tools") or []
    served = [tool for tool in tools if not tool.get("type", "custom").startswith(_TOOLS_OF_OURS)]
    return sum(int(tool.get("max_uses") or MOST_ROUNDS) for tool in served)


def _first_round(request: Mapping[str, Any], longest: int) -> int:
    schema = (request.get("output_config") or {}).get("format")
    tools = request.get("tools") or []
    return sum(
        [
            PER_REQUEST,
            _content(request.get("system") or "", longest),
            sum(PER_MESSAGE + _content(message["content"], longest) for message in request["messages"]),
            FOR_TOOLS + sum(PER_TOOL + _json(tool) for tool in tools) if tools else 0,
            FOR_A_SCHEMA + _json(schema) if schema else 0,
        ]
    )


def _content(content: Any, longest: int) -> int:
    if isinstance(content, str):
        return _text(content)
    return sum(PER_BLOCK + _block(block, longest) for block in content)


def _block(block: Mapping[str, Any], longest: int) -> int:
    if block["type"] in _TEXTUAL:
        return _json(block)
    return _BLOCKS.get(block["type"], _unseen)(block, longest)


def _image(_block: Mapping[str, Any], _longest: int) -> int:
    return PER_IMAGE


def _unseen(block: Mapping[str, Any], longest: int) -> int:
    return longest + _json(block)


def _document(block: Mapping[str, Any], longest: int) -> int:
    source = block["source"]
    described = _json({key: value for key, value in block.items() if key != "source"})
    if source["type"] == "text":
        return described + _text(source["data"])
    if source["type"] == "content":
        return described + _content(source["content"], longest)
    return described + longest


def _tool_result(block: Mapping[str, Any], longest: int) -> int:
    described = _json({key: value for key, value in block.items() if key != "content"})
    return described + PER_BLOCK + _json_or_content(block.get("content") or "", longest)


def _json_or_content(content: Any, longest: int) -> int:
    return _json(content) if isinstance(content, str) else _content(content, longest)


_BLOCKS: dict[str, Callable[[Mapping[str, Any], int], int]] = {
    "image": _image,
    "document": _document,
    "tool_result": _tool_result,
    "search_result": lambda block, longest: _json(block),  # noqa: ARG005 - the shape of the others
}


def _json(value: Any) -> int:
    return _text(json.dumps(value, ensure_ascii=False))


def _text(text: str) -> int:
    """Bytes of UTF-8, of the text or its normal form, whichever has more. Half a character counts as a whole one."""
    if text.isascii():
        return len(text)
    forms = (text, unicodedata.normalize("NFKC", text))
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)
