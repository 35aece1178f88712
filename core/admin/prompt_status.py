"""Where does a prompt stand, and what may this person do with it next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser

from core.admin.prompt_checks import Refusal, refusals, warnings
from core.costs.estimate import Estimate
from core.models import Prompt, PromptVersion, User
from core.prompts.rendering import problems, render
from core.reports.edits import EditEffect, edit_effect
from core.routing.estimating import estimate_asked


@dataclass(frozen=True)
class Status:
    """What the top of the editor says; those that begin with `may` are what its buttons offer."""

    published: PromptVersion | None
    changed: bool
    refusals: list[Refusal]
    warnings: list[str]
    estimate: Estimate | None
    edit: EditEffect | None
    # Whoever may not see what was spent is told the change alone.
    sees_spend: bool
    may_try: bool
    may_publish: bool
    may_withdraw: bool


def status_of(prompt: Prompt, user: User | AnonymousUser) -> Status:
    content = prompt.content()
    publisher = user.has_perm("core.publish_prompt")
    return Status(
        published=prompt.published,
        changed=prompt.changed_since_published,
        refusals=refusals(content, prompt.model),
        warnings=warnings(content, prompt.model),
        estimate=usual_estimate(prompt),
        edit=edit_effect(prompt),
        sees_spend=user.has_perm("core.view_spend"),
        may_try=user.has_perm("core.try_prompt"),
        may_publish=publisher,
        may_withdraw=publisher and prompt.published is not None,
    )


def usual_estimate(prompt: Prompt, content: Mapping[str, Any] | None = None) -> Estimate | None:
    """The price with nothing but the defaults filled in; None for a content that cannot be rendered."""
    chosen = prompt.content() if content is None else content
    if problems(chosen)[0]:
        return None
    defaults = {variable["name"]: variable["default"] for variable in chosen["variables"]}
    return estimate_asked(render(chosen, defaults), prompt)
