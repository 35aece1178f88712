"""How does a draft, or an older version, become what people use, and how is it taken back?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from core.admin.base import page, require, signed_in
from core.admin.differences import differences
from core.admin.prompt_checks import Refusal, refusals, warnings
from core.admin.prompt_status import usual_estimate
from core.models import Prompt, PromptVersion
from core.models.prompts import digest_of
from core.reports.edits import edit_effect

if TYPE_CHECKING:
    from core.admin.prompts import PromptAdmin


def prompt_for(model_admin: PromptAdmin, request: HttpRequest, pk: int, permission: str) -> Prompt:
    """The prompt, for a person who may see it and has `permission`. Raises PermissionDenied and Http404."""
    require(signed_in(request).has_perm(permission))
    prompt = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_view_permission(request, prompt))
    return prompt


def back_to(prompt: Prompt) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:core_prompt_change", args=[prompt.pk]))


def publish(request: HttpRequest, pk: int, model_admin: PromptAdmin, number: int | None = None) -> HttpResponse:
    """Show what would change for people, and publish what was shown: the draft, or the version `number`."""
    prompt = prompt_for(model_admin, request, pk, "core.publish_prompt")
    version = get_object_or_404(prompt.versions.select_related("model"), number=number) if number else None
    content = version.content() if version else prompt.content()
    found = refusals(content, version.model if version else prompt.model)
    digest = digest_of(content)
    if request.method == "POST" and not found and request.POST.get("digest") == digest:
        return _published(request, prompt, version)
    if request.method == "POST" and not found:
        messages.warning(request, "Somebody saved the draft in the meantime. This is what it says now.")
    return _confirmation(request, model_admin, prompt, version, found)


def withdraw(request: HttpRequest, pk: int, model_admin: PromptAdmin) -> HttpResponse:
    """Ask, and then take the prompt out of people's reach."""
    prompt = prompt_for(model_admin, request, pk, "core.publish_prompt")
    if prompt.published is None:
        messages.info(request, f"«{prompt}» is not published.")
        return back_to(prompt)
    if request.method != "POST":
        return page(model_admin, request, "admin/core/prompt/withdraw.html", prompt, title="Withdraw")
    prompt.withdraw()
    model_admin.log_change(request, prompt, "Withdrawn.")
    messages.success(request, f"«{prompt}» is withdrawn. Publish it again whenever you like.")
    return back_to(prompt)


def _published(request: HttpRequest, prompt: Prompt, version: PromptVersion | None) -> HttpResponse:
    published = prompt.publish(signed_in(request), version)
    messages.success(request, f"Version {published.number} of «{prompt}» is published. People use it from now on.")
    return back_to(prompt)


def _confirmation(
    request: HttpRequest,
    model_admin: PromptAdmin,
    prompt: Prompt,
    version: PromptVersion | None,
    found: list[Refusal],
) -> HttpResponse:
    content = version.content() if version else prompt.content()
    current = prompt.published
    return page(
        model_admin,
        request,
        "admin/core/prompt/publish.html",
        prompt,
        title=f"Publish version {version.number} again" if version else "Publish",
        version=version,
        current=current,
        sections=differences(current.content() if current else None, content),
        refusals=found,
        warnings=warnings(content, version.model if version else prompt.model),
        estimate=usual_estimate(prompt, content),
        edit=None if version else edit_effect(prompt),
        sees_spend=request.user.has_perm("core.view_spend"),
        digest=digest_of(content),
    )
