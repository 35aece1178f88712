"""Which prompts can this visitor run?"""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.models import Call, Prompt
from core.pages.access import signed_in

# How many of one's latest calls say which prompts come first, and how many do.
LOOK_BACK = 50
MOST_RECENT = 3
# Below this many prompts a search field would only be in the way.
SEARCH_FROM = 6


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """The prompts that the visitor may use, those used lately first."""
    wanted = request.GET.get("q", "").strip()[:200]
    prompts = Prompt.objects.usable_by(request.user).select_related("published__model")
    found = prompts.filter(Q(name__icontains=wanted) | Q(description__icontains=wanted)) if wanted else prompts
    listed = list(found)
    recent = [] if wanted else _recent(request, listed)
    context = {
        "recent": recent,
        "prompts": [prompt for prompt in listed if prompt not in recent],
        "wanted": wanted,
        "searchable": bool(wanted) or len(listed) >= SEARCH_FROM,
    }
    return render(request, "pages/catalogue.html", context)


def _recent(request: HttpRequest, prompts: list[Prompt]) -> list[Prompt]:
    user = signed_in(request)
    if user is None or len(prompts) < SEARCH_FROM:
        return []
    used = Call.objects.filter(user=user).values_list("prompt_id", flat=True)[:LOOK_BACK]
    by_id = {prompt.pk: prompt for prompt in prompts}
    latest = dict.fromkeys(prompt_id for prompt_id in used if prompt_id in by_id)
    return [by_id[prompt_id] for prompt_id in list(latest)[:MOST_RECENT] if prompt_id is not None]
