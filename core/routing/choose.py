"""Which model answers this request, and why?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models import Call, ClaudeModel


class UnknownModelError(LookupError):
    """No model, alias or route of that name can be used; `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model: {name}")
        self.name = name


@dataclass(frozen=True)
class Plan:
    """What a name leads to: every model that can come to answer, before a rule or classifier has decided.

    The reservation at intake takes the dearest of them, and a key must be allowed all of them.
    """

    asked: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """A model, the reason in a sentence that a person understands, and what the rule says besides."""

    model: str
    reason: str
    effort: str = ""
    max_tokens: int | None = None
    batch: bool = False

    def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as it is sent."""
        changed: dict[str, Any] = {**request, "model": self.model}
        if self.effort:
            changed["output_config"] = {**(request.get("output_config") or {}), "effort": self.effort}
        if self.max_tokens is not None:
            changed["max_tokens"] = min(self.max_tokens, int(request["max_tokens"]))
        return changed


def plan(asked: str) -> Plan:
    """What `asked` can lead to. Raises `UnknownModelError`."""
    if not ClaudeModel.objects.usable().filter(pk=asked).exists():
        raise UnknownModelError(asked)
    return Plan(asked, (asked,))


def choose(call: Call, request: Mapping[str, Any]) -> Choice:
    """The model for a Messages request of this call; `request` is as it came, with what was asked for as its model."""
    asked = str(request["model"])
    reason = "The program asked for this model." if call.key_id else "This prompt is set to this model."
    return Choice(model=asked, reason=reason)
