"""Which model answers this request, and why?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """A model, and the reason in a sentence that a person understands."""

    model: str
    reason: str


def choose(request: Mapping[str, Any]) -> Choice:
    """The model for a Messages request. So far each prompt names its own."""
    return Choice(model=str(request["model"]), reason="This prompt is set to this model.")
