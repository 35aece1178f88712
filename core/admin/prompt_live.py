"""Which fields of a published prompt do people see as soon as they are saved, and who may change them?

All else waits in the draft until somebody publishes it. These have no draft, so changing them is publishing.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from core.models import Prompt

LIVE = {
    "name": "the name",
    "slug": "the page's address",
    "description": "the description",
    "most_attempts": "the most attempts",
    "give_up_after": "when it is given up",
    "fallback": "what answers instead",
    "cache_minutes": "how long answers are kept",
    "cache_shared": "whose kept answers one gets",
    "access": "who may use it",
    "groups": "the groups",
}
AT_ONCE = "The prompt is published, so a change here takes effect as soon as you save."
ONLY_PUBLISHERS = (
    "The prompt is published, so a change here would take effect at once. Only people who may publish can make it: "
    "ask somebody with the role Prompt publisher or Administrator."
)


def may_change_live(request: HttpRequest, prompt: Prompt | None) -> bool:
    """Whether the person behind `request` may change what has no draft; a prompt that nobody uses has nothing live."""
    return prompt is None or prompt.published_id is None or request.user.has_perm("core.publish_prompt")


def told(prompt: Prompt, changed: Iterable[str]) -> str:
    """What people see from now on, after saving a published prompt; empty where nothing of it is live."""
    names = [words for field, words in LIVE.items() if field in set(changed)]
    if not names or prompt.published_id is None:
        return ""
    said = f"Changed for people at once: {', '.join(names)}."
    if {"access", "groups"} & set(changed):
        said += f" It can be used now by: {prompt.get_access_display().lower()}."
    if "slug" in changed:
        said += f" Its page is now /p/{prompt.slug}/, and the old address leads nowhere."
    return said
