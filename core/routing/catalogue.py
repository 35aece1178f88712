"""Which models does the API offer today?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from core.claude import client
from core.models import ClaudeModel, RoutingState

if TYPE_CHECKING:
    from anthropic.types import ModelInfo


@dataclass(frozen=True)
class Synced:
    added: int
    updated: int

    def __str__(self) -> str:
        return f"Models added: {self.added}, brought up to date: {self.updated}"


def sync_models() -> Synced:
    """Write what the API lists into the catalogue; what it lists no more stays. Raises `ClaudeError`."""
    listed = client.list_models()
    with transaction.atomic():
        RoutingState.touch()
        added = [ClaudeModel.objects.update_or_create(pk=info.id, defaults=_values(info))[1] for info in listed]
    return Synced(added=sum(added), updated=len(added) - sum(added))


def _values(info: ModelInfo) -> dict[str, Any]:
    return {
        "display_name": info.display_name,
        "line": info.line or "",
        "lifecycle": info.lifecycle,
        "released_at": info.created_at,
        "deprecated_at": info.deprecated_at,
        "retires_at": info.retires_at,
        "max_input_tokens": info.max_input_tokens,
        "max_tokens": info.max_tokens,
        "capabilities": info.capabilities.to_dict() if info.capabilities else {},
        "synced_at": timezone.now(),
    }
