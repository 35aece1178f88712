"""Which prompts may this key use, and what does each ask for?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from core.gateway.plain.asking import sender
from core.gateway.plain.faults import responses
from core.gateway.plain.shapes import PromptList
from core.intake.by_name import prompts_of
from core.models import Prompt, PromptVersion

router = Router(tags=["Prompts"])


@router.get("/prompts", response=responses(200, PromptList), summary="The prompts that this key may use")
def prompts(request: HttpRequest) -> dict[str, Any]:
    """Published prompts, with the variables that a call has to give."""
    usable = prompts_of(sender(request)).select_related("published").order_by("name", "pk")
    return {"data": [_told(prompt, prompt.published) for prompt in usable if prompt.published is not None]}


def _told(prompt: Prompt, version: PromptVersion) -> dict[str, Any]:
    return {
        "prompt": prompt.slug,
        "name": prompt.name,
        "description": prompt.description,
        "variables": version.variables,
    }
