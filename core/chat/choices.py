"""What can be chosen for a chat: which models, routes and system prompts?"""

from __future__ import annotations

from django.db.models import QuerySet

from core.models import ClaudeModel, ModelAlias, Route, SystemPrompt
from core.routing.names import usual

Choice = tuple[str, str]


def models_offered() -> list[tuple[str, list[Choice]]]:
    """Names that a message can go to, in groups, each with what people read."""
    aliases = ModelAlias.objects.filter(model__in=ClaudeModel.objects.usable()).select_related("model")
    named = [(alias.name, f"{alias.name.capitalize()} – {alias.model.display_name}") for alias in aliases]
    routes = Route.objects.filter(published__isnull=False).order_by("name")
    models = ClaudeModel.objects.usable().order_by("line", "-released_at", "pk")
    groups = [
        ("Short names", named),
        ("Chosen for each message by rules", [(route.slug, str(route)) for route in routes]),
        ("Models", [(model.pk, str(model)) for model in models]),
    ]
    return [group for group in groups if group[1]]


def name_of(asked: str) -> str:
    """What people read for a name that was chosen, also for one that is not offered any more."""
    wanted = asked or usual()
    for _, choices in models_offered():
        for name, words in choices:
            if name == wanted:
                return words
    return wanted


def is_offered(asked: str) -> bool:
    return any(asked == name for _, choices in models_offered() for name, _ in choices)


def system_prompts_offered() -> QuerySet[SystemPrompt]:
    return SystemPrompt.objects.filter(in_chat=True)
