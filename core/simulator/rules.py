"""What do today's models refuse, although the types allow it?

Sources: the API reference, the pages on errors, prompt caching, tool use, thinking, effort and structured outputs, and
the migration guides of the 5.5 models on https://platform.claude.com/docs. Known messages are the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.simulator.catalogue import Model
from core.simulator.errors import invalid
from core.simulator.schema_rules import check_output_schema, check_tool_schema
from core.simulator.signatures import signed_by
from core.simulator.tokens import PromptBlock, count_prompt, prompt_blocks

MAX_BREAKPOINTS = 4
GEOS = ("global", "us")


def check_content(params: Mapping[str, Any]) -> None:
    """Refuses conversations that no model takes."""
    messages = params["messages"]
    if not messages:
        raise invalid("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        _check_message(index, message, last=index == len(messages) - 1)
    _check_tool_pairs(messages)
    if isinstance(params.get("system"), list):
        _check_texts(params["system"], "system")
    if any(not text.strip() for text in params.get("stop_sequences") or ()):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    _check_tools(params)
    _check_breakpoints(prompt_blocks(params))


def _check_message(index: int, message: Mapping[str, Any], *, last: bool) -> None:
    content = message["content"]
    if not content and not (last and message["role"] == "assistant"):
        raise invalid(f"messages.{index}: {message['role']} messages must have non-empty content")
    if isinstance(content, list):
        _check_texts(content, "messages")
    if last and message["role"] == "assistant" and isinstance(content, str) and content != content.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_texts(blocks: Iterable[Mapping[str, Any]], where: str) -> None:
    for block in blocks:
        if block["type"] == "text" and not block["text"]:
            raise invalid(f"{where}: text content blocks must be non-empty")
        if block["type"] == "text" and not block["text"].strip():
            raise invalid(f"{where}: text content blocks must contain non-whitespace text")


def _check_tool_pairs(messages: list[Mapping[str, Any]]) -> None:
    open_ids: set[str] = set()
    for index, message in enumerate(messages):
        results = [block["tool_use_id"] for block in _blocks(message, "tool_result")]
        for result in results:
            if result not in open_ids:
                raise invalid(
                    f"messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        if missing := open_ids - set(results):
            raise invalid(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(sorted(missing))}. Each `tool_use` block must have a corresponding `tool_result` block in "
                "the next message."
            )
        open_ids = {block["id"] for block in _blocks(message, "tool_use")}


def _blocks(message: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    content = message["content"]
    return [block for block in content if block["type"] == kind] if isinstance(content, list) else []


def _check_tools(params: Mapping[str, Any]) -> None:
    tools = params.get("tools") or []
    names = [tool["name"] for tool in tools if "name" in tool]
    for name in names:
        if names.count(name) > 1:
            raise invalid("tools: Tool names must be unique.")
    for index, tool in enumerate(tools):
        if "input_schema" in tool:
            check_tool_schema(tool["input_schema"], f"tools.{index}.custom.input_schema")
    choice = params.get("tool_choice")
    if not choice:
        return
    if not tools and choice["type"] != "none":
        raise invalid("tool_choice: may only be specified while providing tools")
    if choice["type"] == "tool" and choice["name"] not in names:
        raise invalid(f"tool_choice: Tool '{choice['name']}' not found in provided tools")


def _check_breakpoints(blocks: Iterable[PromptBlock]) -> None:
    ttls = [block.ttl for block in blocks if block.ttl]
    if len(ttls) > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {len(ttls)}.")
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are "
            "processed in the following order: `tools`, `system`, `messages`."
        )


def check_model_rules(params: Mapping[str, Any], model: Model) -> None:
    """Refuses what this model does not take."""
    _check_max_tokens(params, model)
    _check_thinking(params, model)
    _check_output_config(params.get("output_config") or {}, model)
    choice = (params.get("tool_choice") or {}).get("type")
    if choice in ("any", "tool") and not model.forced_tools:
        raise invalid('tool_choice: type "tool" and "any" are not supported for this model.')
    if params["messages"][-1]["role"] == "assistant" and not model.prefill:
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    _check_signatures(params["messages"], model)
    _check_service(params, model)
    tokens = count_prompt(params)
    if tokens > model.max_input_tokens and "max_tokens" in params:  # counting alone has no limit
        raise invalid(f"prompt is too long: {tokens} tokens > {model.max_input_tokens} maximum")


def _check_max_tokens(params: Mapping[str, Any], model: Model) -> None:
    wanted = params.get("max_tokens")
    if wanted is None:
        return
    if wanted < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    if wanted > model.max_tokens:
        raise invalid(
            f"max_tokens: {wanted} > {model.max_tokens}, which is the maximum allowed number of output tokens for "
            f"{model.id}"
        )


def _check_thinking(params: Mapping[str, Any], model: Model) -> None:
    thinking = params.get("thinking")
    if not thinking:
        return
    kind = thinking["type"]
    if kind not in model.thinking:
        hint = ""
        if "adaptive" in model.thinking:
            hint = ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        raise invalid(f'"thinking.type.{kind}" is not supported for this model.{hint}')
    if kind != "enabled":
        return
    if thinking["budget_tokens"] < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if thinking["budget_tokens"] >= params.get("max_tokens", 1 << 60):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if (params.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_output_config(config: Mapping[str, Any], model: Model) -> None:
    effort = config.get("effort")
    if effort and not model.effort:
        raise invalid("This model does not support the effort parameter.")
    if effort and effort not in model.effort:
        raise invalid(
            f"This model does not support effort level '{effort}'. Supported levels: {', '.join(model.effort)}."
        )
    output_format = config.get("format")
    if output_format and not model.structured:
        raise invalid("output_config.format: structured outputs are not supported for this model.")
    if output_format:
        check_output_schema(output_format["schema"], "output_config.format.schema")


def _check_signatures(messages: Iterable[Mapping[str, Any]], model: Model) -> None:
    for index, message in enumerate(messages):
        for position, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
            if block["type"] == "thinking" and signed_by(block["signature"]) != model.id:
                raise invalid(f"messages.{index}.content.{position}: Invalid `signature` in `thinking` block")


def _check_service(params: Mapping[str, Any], model: Model) -> None:
    if params.get("speed") == "fast" and not model.fast:
        raise invalid("speed: 'fast' is not supported for this model.")
    geo = params.get("inference_geo")
    if geo is not None and not model.geo:
        raise invalid("inference_geo: not supported for this model.")
    if geo is not None and geo not in GEOS:
        raise invalid(f"inference_geo: '{geo}' is not an allowed inference geography.")
