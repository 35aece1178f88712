"""Which content blocks answer a request, why do they stop, and how many output tokens are they?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.simulator.answers import answer_text, answer_tool_results, long_text, thinking_text
from core.simulator.catalogue import Model
from core.simulator.faults import Faults
from core.simulator.reading import last_user_text, subject, system_text, tool_results
from core.simulator.schema_answers import answer_schema
from core.simulator.signatures import sign
from core.simulator.tokens import count_text

WORDS = re.compile(r"\s*\S+")
DEFAULT_SEARCHES = 1
REFUSAL = "This request was declined by the simulator on request."


@dataclass(frozen=True)
class Part:
    """One content block with its price in tokens; `text` is what is streamed, in pieces."""

    block: dict[str, Any]
    text: str
    tokens: int


@dataclass(frozen=True)
class Generation:
    """A whole answer. `thinking_tokens` are part of `output_tokens`."""

    parts: tuple[Part, ...]
    stop_reason: str
    stop_sequence: str | None = None
    stop_details: Mapping[str, Any] | None = None
    searches: int = 0

    @property
    def output_tokens(self) -> int:
        return sum(part.tokens for part in self.parts)

    @property
    def thinking_tokens(self) -> int:
        return sum(part.tokens for part in self.parts if part.block["type"] == "thinking")


def generate(params: Mapping[str, Any], model: Model, faults: Faults) -> Generation:
    """The answer to a valid request."""
    budget = int(params["max_tokens"])
    if faults.get("refusal"):
        details = {"type": "refusal", "category": "general_harms", "explanation": REFUSAL}
        return Generation((), "refusal", stop_details=details)
    if budget == 0:  # fills the prompt cache and generates nothing
        return Generation((), "max_tokens")
    parts = _thinking(params, model)
    searches = _searches(params, faults)
    parts += _search_parts(params, searches)
    calls = _tool_calls(params, faults)
    stop_reason, stop_sequence = "tool_use", None
    if calls:
        parts += calls
    else:
        text, stop_sequence = _stopped(_text(params, faults), params.get("stop_sequences") or ())
        stop_reason = "stop_sequence" if stop_sequence else "end_turn"
        parts.append(_text_part(text))
    kept = _within(parts, budget)
    if sum(part.tokens for part in kept) < sum(part.tokens for part in parts):
        stop_reason, stop_sequence = "max_tokens", None
    return Generation(tuple(kept), stop_reason, stop_sequence, searches=searches)


def _text(params: Mapping[str, Any], faults: Faults) -> str:
    given = faults.get("answer")
    if given:
        return given.value
    text = last_user_text(params)
    output_format = (params.get("output_config") or {}).get("format")
    if output_format:
        return json.dumps(answer_schema(output_format["schema"], text), ensure_ascii=False)
    long = faults.get("long")
    if long:
        return long_text(text, int(long.number("tokens", 2000)), count_text)
    results = tool_results(params)
    return answer_tool_results(text, results) if results else answer_text(system_text(params), text)


def _text_part(text: str) -> Part:
    return Part({"type": "text", "text": text, "citations": None}, text, count_text(text))


def _stopped(text: str, stop_sequences: Any) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and that sequence."""
    found = [(text.index(stop), stop) for stop in stop_sequences if stop in text]
    if not found:
        return text, None
    position, stop = min(found)
    return text[:position], stop


def _thinking(params: Mapping[str, Any], model: Model) -> list[Part]:
    """A thinking block where the model thinks; today's models leave its text out unless `display` asks for it."""
    config = params.get("thinking") or {}
    kind = config.get("type") or ("adaptive" if model.thinks_unasked else "disabled")
    if kind in ("disabled", "between_tools") or (not config and _needs_no_thought(params, model)):
        return []
    text = _first_tokens(thinking_text(last_user_text(params)), int(params["max_tokens"]) // 2)
    display = config.get("display") or ("omitted" if model.thinks_unasked else "summarized")
    shown = "" if display == "omitted" else text
    block = {"type": "thinking", "thinking": shown, "signature": sign(model.id, text)}
    return [Part(block, shown, count_text(text))]


def _needs_no_thought(params: Mapping[str, Any], model: Model) -> bool:
    """Adaptive thinking is left out for easy work, except on the models that always think."""
    config = params.get("output_config") or {}
    return len(model.thinking) > 1 and bool(config.get("format") or config.get("effort") == "low")


def _searches(params: Mapping[str, Any], faults: Faults) -> int:
    fault = faults.get("web-search")
    tools = [tool for tool in params.get("tools") or () if str(tool.get("type", "")).startswith("web_search_")]
    if not fault or not tools:
        return 0
    return min(int(fault.number("uses", DEFAULT_SEARCHES)), tools[0].get("max_uses") or 1_000)


def _search_parts(params: Mapping[str, Any], searches: int) -> list[Part]:
    topic = subject(last_user_text(params))
    parts = []
    for number in range(searches):
        call_id = "srvtoolu_" + _digest(f"{topic}|{number}")
        query = {"query": f"{topic} {number + 1}".strip()}
        call = {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": query}
        found = {
            "type": "web_search_result",
            "title": f"About {topic}",
            "url": f"https://example.com/{number + 1}",
            "encrypted_content": _digest(topic),
            "page_age": None,
        }
        result = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": [found]}
        parts += [_json_part(call), Part(result, "", 0)]
    return parts


def _tool_calls(params: Mapping[str, Any], faults: Faults) -> list[Part]:
    """One call of the tool that is forced, asked for, or named in the text; none once its result is there."""
    tools = {tool["name"]: tool for tool in params.get("tools") or () if "input_schema" in tool}
    name = _wanted_tool(params, tools, faults)
    if name is None:
        return []
    text = last_user_text(params)
    value = answer_schema(tools[name]["input_schema"], text)
    call_id = "toolu_" + _digest(f"{name}|{text}|{len(params['messages'])}")
    return [_json_part({"type": "tool_use", "id": call_id, "name": name, "input": value or {}})]


def _wanted_tool(params: Mapping[str, Any], tools: Mapping[str, Any], faults: Faults) -> str | None:
    choice = params.get("tool_choice") or {"type": "auto"}
    asked = faults.get("tool")
    if not tools or choice["type"] == "none":
        return None
    if choice["type"] == "tool":
        return str(choice["name"]) if choice["name"] in tools else None
    if tool_results(params) and choice["type"] == "auto":
        return None
    if asked and asked.value in tools:
        return asked.value
    named = _named_tool(last_user_text(params).lower(), tools)
    return named or (next(iter(tools)) if choice["type"] == "any" else None)


def _named_tool(text: str, tools: Mapping[str, Any]) -> str | None:
    """The first tool whose name, or all of whose name's words, stand in the text."""
    for name in tools:
        words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
        telling = [
            word for word in words if word not in ("get", "set", "the", "tool", "find", "fetch", "lookup", "list")
        ]
        if name.lower() in text or (telling and all(word in text for word in telling)):
            return name
    return next(iter(tools), None) if re.search(r"\buse (the|a|your) tool", text) else None


def _json_part(block: dict[str, Any]) -> Part:
    text = json.dumps(block["input"], ensure_ascii=False)
    return Part(block, text, count_text(text) + count_text(block["name"]))


def _within(parts: list[Part], budget: int) -> list[Part]:
    """As much of the parts as `max_tokens` allows; a tool call that does not fit whole is left out."""
    kept: list[Part] = []
    for part in parts:
        if part.tokens <= budget:
            kept.append(part)
            budget -= part.tokens
            continue
        if part.block["type"] == "text":
            kept.append(_text_part(_first_tokens(part.text, budget)))
        elif part.block["type"] == "thinking":
            kept.append(Part(part.block, part.text, budget))
        break
    return kept


def _first_tokens(text: str, budget: int) -> str:
    kept, left = [], budget
    for word in WORDS.findall(text):
        left -= count_text(word)
        if left < 0:
            break
        kept.append(word)
    return "".join(kept)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
