"""Which versions of a prompt were there, what did each say, and how does it differ from what people use?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from core.admin.base import page
from core.admin.differences import differences, sections
from core.admin.publishing import prompt_for

if TYPE_CHECKING:
    from core.admin.prompts import PromptAdmin

# The newest versions; older ones keep their addresses.
SHOWN = 100


def listing(request: HttpRequest, pk: int, model_admin: PromptAdmin) -> HttpResponse:
    prompt = prompt_for(model_admin, request, pk, "core.view_promptversion")
    versions = prompt.versions.select_related("created_by", "published_by", "model").order_by("-number")[:SHOWN]
    return page(
        model_admin,
        request,
        "admin/core/prompt/versions.html",
        prompt,
        title="Versions",
        versions=versions,
        may_publish=request.user.has_perm("core.publish_prompt"),
    )


def frozen(request: HttpRequest, pk: int, number: int, model_admin: PromptAdmin) -> HttpResponse:
    """One version as it was taken, and compared with the draft or with what is published."""
    prompt = prompt_for(model_admin, request, pk, "core.view_promptversion")
    version = get_object_or_404(prompt.versions.select_related("created_by", "published_by"), number=number)
    against = "draft" if request.GET.get("against") == "draft" or prompt.published is None else "published"
    other = prompt.content() if against == "draft" or prompt.published is None else prompt.published.content()
    return page(
        model_admin,
        request,
        "admin/core/prompt/version.html",
        prompt,
        title=f"Version {number}",
        version=version,
        sections=sections(version.content()),
        against=against,
        changes=differences(version.content(), other),
        may_publish=request.user.has_perm("core.publish_prompt"),
    )
