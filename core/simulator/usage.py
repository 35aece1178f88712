"""What does the `usage` of an answer say?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.simulator.caching import InputSplit
from core.simulator.catalogue import Model


def full_usage(params: Mapping[str, Any], model: Model, split: InputSplit, *, batch: bool) -> dict[str, Any]:
    """The shape of the SDK's `Usage`, before anything was generated."""
    usage: dict[str, Any] = {
        "input_tokens": split.uncached,
        "cache_creation_input_tokens": split.written_5m + split.written_1h,
        "cache_read_input_tokens": split.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": split.written_5m,
            "ephemeral_1h_input_tokens": split.written_1h,
        },
        "output_tokens": 0,
        "service_tier": "batch" if batch else "standard",
        "inference_geo": (params.get("inference_geo") or "global") if model.geo else "not_available",
    }
    if params.get("speed"):
        usage["speed"] = params["speed"]
    return usage


def with_output(usage: Mapping[str, Any], output: int, thinking: int, searches: int) -> dict[str, Any]:
    """The same usage after so many output tokens, of which some were thinking, and so many web searches."""
    result = {**usage, "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking}}
    if searches:
        result["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return result


def delta_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What a `message_delta` repeats of it: cumulative sums, to replace what was there."""
    names = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "server_tool_use",
    )
    return {name: usage[name] for name in names if name in usage}
