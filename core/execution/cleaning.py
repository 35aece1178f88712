"""What of a request can another model not take?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.models import ClaudeModel, Price

# Blocks that only the model takes which wrote them.
_OF_ONE_MODEL = {"thinking", "redacted_thinking"}
# Fields that the models since adaptive thinking refuse. The API does not list them as a capability.
_SAMPLING = ("temperature", "top_p", "top_k")


def lacks(model: ClaudeModel, request: Mapping[str, Any]) -> str:
    """What this request cannot do without and the model has not, or empty: nothing is left out that would be missed."""
    kinds = set(_kinds(request.get("messages")))
    needs = {
        "image_input": "image" in kinds,
        "pdf_input": "pdf" in kinds,
        "structured_outputs": bool((request.get("output_config") or {}).get("format")),
        "server_tools": any(_is_served(tool) for tool in request.get("tools") or []),
    }
    missing = [name for name, needed in needs.items() if needed and not supports(model, name)]
    if _prefilled(request) and not _older(model):
        missing.append("prefill")
    return ", ".join(missing)


def cleaned(request: Mapping[str, Any], model: ClaudeModel) -> dict[str, Any]:
    """The request as `model` can take it: without the thinking of others, and without settings that it refuses."""
    fields = dict(request)
    fields["model"] = model.pk
    messages = [_without_thinking(message) for message in request.get("messages") or []]
    fields["messages"] = [message for message in messages if message.get("content") != []]
    if model.max_tokens and isinstance(fields.get("max_tokens"), int):
        fields["max_tokens"] = min(fields["max_tokens"], model.max_tokens)
    for name in [name for name in fields if not _taken(name, fields, model)]:
        del fields[name]
    return _with_effort_it_knows(fields, model)


def supports(model: ClaudeModel, *path: str) -> bool:
    """Whether the API lists this capability. What it does not speak of at all is not ruled out."""
    found: Any = model.capabilities
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return bool(found.get("supported", True)) if isinstance(found, Mapping) else True


def _taken(name: str, fields: Mapping[str, Any], model: ClaudeModel) -> bool:
    if name in _SAMPLING:
        return _older(model)
    if name == "thinking":
        return _thinks_so(fields, model)
    if name == "speed":
        fast = fields[name] == Price.Speed.FAST
        return not fast or Price.objects.in_force_of(model.pk, Price.Speed.FAST).exists()
    return name != "context_management" or supports(model, name)


def _thinks_so(fields: Mapping[str, Any], model: ClaudeModel) -> bool:
    thinking = fields["thinking"]
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if not isinstance(kind, str) or not supports(model, "thinking", "types", kind):
        return False
    # With a budget of its own, the model wants its own thinking before its tools' results, and that is not there.
    return kind != "enabled" or not _answers_a_tool(fields["messages"])


def _with_effort_it_knows(fields: dict[str, Any], model: ClaudeModel) -> dict[str, Any]:
    config = fields.get("output_config")
    effort = config.get("effort") if isinstance(config, Mapping) else None
    if effort is None or (supports(model, "effort") and supports(model, "effort", str(effort))):
        return fields
    left = {name: value for name, value in config.items() if name != "effort"} if config else {}
    rest = {name: value for name, value in fields.items() if name != "output_config"}
    return {**rest, "output_config": left} if left else rest


def _without_thinking(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return dict(message)
    return {**message, "content": [block for block in content if _type(block) not in _OF_ONE_MODEL]}


def _older(model: ClaudeModel) -> bool:
    """A model from before adaptive thinking: it takes a budget for thinking, samplers, and a begun answer."""
    kinds = (model.capabilities.get("thinking") or {}).get("types") or {}
    return bool((kinds.get("enabled") or {}).get("supported"))


def _prefilled(request: Mapping[str, Any]) -> bool:
    messages = request.get("messages") or [{}]
    return bool(messages[-1].get("role") == "assistant")


def _answers_a_tool(messages: list[Mapping[str, Any]]) -> bool:
    content = messages[-1].get("content") if messages else None
    return isinstance(content, list) and any(_type(block) == "tool_result" for block in content)


def _is_served(tool: Any) -> bool:
    kind = _type(tool)
    return kind.startswith(("web_search", "web_fetch", "code_execution"))


def _kinds(messages: Any) -> Iterator[str]:
    """Of each block in these messages, those in tools' results included, its type; `pdf` for a document that is one."""
    for message in messages or []:
        yield from _kinds_of_blocks(message.get("content"))


def _kinds_of_blocks(content: Any) -> Iterator[str]:
    for block in content if isinstance(content, list) else []:
        kind = _type(block)
        source = block.get("source") if isinstance(block, Mapping) else None
        is_text = isinstance(source, Mapping) and source.get("type") in {"text", "content"}
        yield "pdf" if kind == "document" and not is_text else kind
        if kind == "tool_result":
            yield from _kinds_of_blocks(block.get("content"))


def _type(block: Any) -> str:
    return str(block.get("type") or "") if isinstance(block, Mapping) else ""
