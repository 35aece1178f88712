"""How many tokens of which kind does a usage report name?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Usage:
    """The token kinds of one exchange. The three input kinds are disjoint; their sum is the whole input."""

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    web_searches: int = 0
    service_tier: str = "standard"
    inference_geo: str = ""
    speed: str = "standard"

    @property
    def whole_input(self) -> int:
        """What chooses the price band, cache reads included."""
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


def read_usage(raw: Mapping[str, Any]) -> Usage | None:
    """The usage in the API's shape, or None where it does not name input and output: that is unknown, not zero."""
    if raw.get("input_tokens") is None or raw.get("output_tokens") is None:
        return None
    written = raw.get("cache_creation_input_tokens") or 0
    split = raw.get("cache_creation") or {}
    one_hour = split.get("ephemeral_1h_input_tokens") or 0
    return Usage(
        input=raw["input_tokens"],
        output=raw["output_tokens"],
        cache_write_5m=written - one_hour,
        cache_write_1h=one_hour,
        cache_read=raw.get("cache_read_input_tokens") or 0,
        web_searches=(raw.get("server_tool_use") or {}).get("web_search_requests") or 0,
        service_tier=raw.get("service_tier") or "standard",
        inference_geo=raw.get("inference_geo") or "",
        speed=raw.get("speed") or "standard",
    )
