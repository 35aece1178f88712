"""Which models are there, and what does each of them take?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.simulator.errors import not_found
from core.simulator.paging import page

LOW_TO_HIGH = ("low", "medium", "high")
TO_MAX = (*LOW_TO_HIGH, "max")
TO_XHIGH = (*LOW_TO_HIGH, "xhigh", "max")


@dataclass(frozen=True)
class Model:
    """One model, with what the real API refuses for it (its docs: models, thinking, prompt caching)."""

    id: str
    display_name: str
    line: str
    created: str
    lifecycle: str = "active"
    deprecated: str | None = None
    retires: str | None = None
    aliases: tuple[str, ...] = ()
    max_input_tokens: int = 1_000_000
    max_tokens: int = 128_000
    min_cache_tokens: int = 512
    effort: tuple[str, ...] = TO_XHIGH
    thinking: tuple[str, ...] = ("adaptive",)
    thinks_unasked: bool = True
    forced_tools: bool = True
    prefill: bool = False
    sampling: bool = False
    fast: bool = False
    geo: bool = True
    structured: bool = True

    def as_json(self) -> dict[str, Any]:
        """The shape of the SDK's `ModelInfo`."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.display_name,
            "line": self.line,
            "created_at": _midnight(self.created),
            "lifecycle": self.lifecycle,
            "deprecated_at": _midnight(self.deprecated),
            "retires_at": _midnight(self.retires),
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "capabilities": self.capabilities(),
        }

    def capabilities(self) -> dict[str, Any]:
        """The shape of the SDK's `ModelCapabilities`."""
        new = self.created >= "2026"
        return {
            "batch": _supported(True),
            "citations": _supported(True),
            "code_execution": _supported(True),
            "context_management": {
                "supported": True,
                "clear_thinking_20251015": _supported(True),
                "clear_tool_uses_20250919": _supported(True),
                "compact_20260112": _supported(new),
            },
            "effort": {
                "supported": bool(self.effort),
                **{level: _supported(level in self.effort) for level in TO_XHIGH},
            },
            "image_input": _supported(True),
            "pdf_input": _supported(True),
            "server_tools": {
                "supported": True,
                "code_execution": _supported(True),
                "web_search": _supported(True),
            },
            "structured_outputs": _supported(self.structured),
            "thinking": {
                "supported": bool(self.thinking),
                "types": {
                    kind: _supported(kind in self.thinking)
                    for kind in ("adaptive", "between_tools", "disabled", "enabled")
                },
            },
        }


def _supported(value: bool) -> dict[str, bool]:
    return {"supported": value}


def _midnight(day: str | None) -> str | None:
    return f"{day}T00:00:00Z" if day else None


def _always_thinks(model_id: str, name: str, line: str, created: str) -> Model:
    return Model(model_id, name, line, created, forced_tools=False, fast=True)


def _manual_thinker(model_id: str, name: str, line: str, created: str, **rest: Any) -> Model:
    """Models before adaptive thinking: a budget by hand, smaller windows, samplers and prefill allowed."""
    settings: dict[str, Any] = {
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "min_cache_tokens": 4096,
        "effort": (),
        "thinking": ("disabled", "enabled"),
        "thinks_unasked": False,
        "prefill": True,
        "sampling": True,
        "geo": False,
    }
    return Model(model_id, name, line, created, **(settings | rest))


def _retired(model_id: str, name: str, line: str, created: str, deprecated: str, retires: str) -> Model:
    return _manual_thinker(model_id, name, line, created, lifecycle="retired", deprecated=deprecated, retires=retires)


# Newest first, as the list endpoint answers.
MODELS: Sequence[Model] = (
    _always_thinks("claude-fable-5-2", "Claude Fable 5.2", "fable", "2026-11-05"),
    _always_thinks("claude-mythos-5-2", "Claude Mythos 5.2", "mythos", "2026-11-05"),
    Model(
        "claude-haiku-5-5",
        "Claude Haiku 5.5",
        "haiku",
        "2026-10-07",
        thinking=("adaptive", "disabled"),
        thinks_unasked=True,
    ),
    Model(
        "claude-sonnet-5-5",
        "Claude Sonnet 5.5",
        "sonnet",
        "2026-09-28",
        thinking=("adaptive", "between_tools"),
        forced_tools=False,
    ),
    _always_thinks("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-09-22"),
    Model(
        "claude-opus-5",
        "Claude Opus 5",
        "opus",
        "2026-07-24",
        thinking=("adaptive", "disabled"),
        fast=True,
    ),
    Model(
        "claude-sonnet-5",
        "Claude Sonnet 5",
        "sonnet",
        "2026-06-29",
        thinking=("adaptive", "disabled"),
        min_cache_tokens=1024,
    ),
    _manual_thinker(
        "claude-opus-4-5-20251101",
        "Claude Opus 4.5",
        "opus",
        "2025-11-24",
        aliases=("claude-opus-4-5",),
        effort=LOW_TO_HIGH,
    ),
    _manual_thinker(
        "claude-haiku-4-5-20251001",
        "Claude Haiku 4.5",
        "haiku",
        "2025-10-15",
        aliases=("claude-haiku-4-5",),
    ),
    _manual_thinker(
        "claude-sonnet-4-5-20250929",
        "Claude Sonnet 4.5",
        "sonnet",
        "2025-09-29",
        aliases=("claude-sonnet-4-5",),
        lifecycle="deprecated",
        deprecated="2026-09-28",
        retires="2026-11-30",
        min_cache_tokens=1024,
    ),
    _retired("claude-sonnet-4-20250514", "Claude Sonnet 4", "sonnet", "2025-05-22", "2026-04-14", "2026-06-15"),
    _retired("claude-opus-4-20250514", "Claude Opus 4", "opus", "2025-05-22", "2026-04-14", "2026-06-15"),
)

BY_NAME: Mapping[str, Model] = {
    name: model for model in MODELS for name in (model.id, *model.aliases)
}  # what the API takes for a model: ids and aliases


def find_model(name: str) -> Model:
    """The model of that id or alias, retired ones included; 404 if there never was one."""
    if name not in BY_NAME:
        raise not_found(f"model: {name}")
    return BY_NAME[name]


def callable_model(name: str) -> Model:
    """The model that answers to that name; retired ones fail like unknown ones, with 404."""
    model = find_model(name)
    if model.lifecycle == "retired":
        raise not_found(f"model: {name}")
    return model


def list_models(query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """One page of models. Without `lifecycle`, retired ones are left out, as in the real list."""
    wanted = [*query.get("lifecycle[]", ()), *query.get("lifecycle", ())] or ["active", "deprecated"]
    return page([model.as_json() for model in MODELS if model.lifecycle in wanted], query)
