"""What does a draft really answer, and what does that cost, before anybody else sees it?"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from core.admin.base import address, page, signed_in
from core.admin.prompt_checks import refusals, warnings
from core.admin.publishing import prompt_for
from core.admin.try_form import TryForm
from core.costs.budgets import OverBudgetError
from core.costs.counting import counted_by_claude
from core.costs.estimate import Estimate
from core.intake.accept import InvalidInputsError, accept
from core.live.channel import text_so_far
from core.models import Call, Prompt, User
from core.prompts.rendering import render, specs
from core.routing.estimating import estimate_asked

if TYPE_CHECKING:
    from core.admin.prompts import PromptAdmin

SHOWN_TRIES = 5


@dataclass(frozen=True)
class Preview:
    """What would be sent, and its price."""

    system: str
    message: str
    parameters: str
    estimate: Estimate


def try_out(request: HttpRequest, pk: int, model_admin: PromptAdmin) -> HttpResponse:
    """The form of a draft beside its answers; a POST runs the saved draft for real."""
    prompt = prompt_for(model_admin, request, pk, "core.try_prompt")
    user = signed_in(request)
    found = refusals(prompt.content(), prompt.model)
    shown = _shown(request, prompt, user)
    form = _form(request, prompt, shown)
    if request.method == "POST" and not found and "preview" not in request.POST and form.is_valid():
        try:
            call = accept(prompt.snapshot(user), form.cleaned_data, user=user, door=Call.Door.TRY)
        except InvalidInputsError as error:
            for name, sentence in error.problems.items():
                form.add_error(name, sentence)
        except OverBudgetError as error:
            messages.error(request, f"Not sent. {error}")
        else:
            here = reverse("admin:core_prompt_try", args=[prompt.pk])
            return HttpResponseRedirect(f"{here}?call={call.pk}#answer")
    asked = request.method == "POST" and "preview" in request.POST
    return page(
        model_admin,
        request,
        "admin/core/prompt/try.html",
        prompt,
        title="Try it",
        form=form,
        refusals=found,
        warnings=warnings(prompt.content(), prompt.model),
        preview=None if found else preview_of(prompt, form.typed(), ask=asked),
        tries=tries_of(prompt, user),
        **_answer_context(prompt, shown),
    )


def preview(request: HttpRequest, pk: int, model_admin: PromptAdmin) -> HttpResponse:
    """The part of the page that shows what would be sent, counted by Claude, for what is typed now."""
    prompt = prompt_for(model_admin, request, pk, "core.try_prompt")
    form = TryForm(specs(prompt.content()), request.POST)
    ready = not refusals(prompt.content(), prompt.model)
    shown = preview_of(prompt, form.typed(), ask=True) if ready and request.method == "POST" else None
    return page(model_admin, request, "admin/core/prompt/preview.html", prompt, preview=shown)


def answer(request: HttpRequest, pk: int, call_id: uuid.UUID, model_admin: PromptAdmin) -> HttpResponse:
    """The part of the page that shows one try and the last ones, for the script that follows it."""
    prompt = prompt_for(model_admin, request, pk, "core.try_prompt")
    user = signed_in(request)
    call = get_object_or_404(Call.objects.visible_to(user).filter(prompt=prompt), pk=call_id)
    context = {"tries": tries_of(prompt, user), **_answer_context(prompt, call)}
    return page(model_admin, request, "admin/core/prompt/answer.html", prompt, **context)


def preview_of(prompt: Prompt, inputs: Mapping[str, str], *, ask: bool) -> Preview:
    """What the draft would send for `inputs`; with `ask`, Claude counts its tokens, otherwise they are estimated."""
    request = render(prompt.content(), inputs)
    rest = {key: value for key, value in request.items() if key not in {"system", "messages"}}
    return Preview(
        system=request.get("system", ""),
        message=request["messages"][0]["content"],
        parameters=json.dumps(rest, indent=2, ensure_ascii=False),
        estimate=estimate_asked(request, prompt, counted_by_claude if ask else None),
    )


def tries_of(prompt: Prompt, user: User) -> list[Call]:
    """The newest tries of this prompt whose content `user` may read."""
    tries = Call.objects.visible_to(user).filter(prompt=prompt, door=Call.Door.TRY)
    return list(tries.select_related("user", "version").prefetch_related("cost_records")[:SHOWN_TRIES])


def _shown(request: HttpRequest, prompt: Prompt, user: User) -> Call | None:
    """The try that the page is about, where its address names one."""
    try:
        call_id = uuid.UUID(request.GET.get("call", ""))
    except ValueError:
        return None
    return Call.objects.visible_to(user).filter(prompt=prompt, pk=call_id).first()


def _form(request: HttpRequest, prompt: Prompt, shown: Call | None) -> TryForm:
    """Bound to what was posted; otherwise what was typed for the try that is shown stays typed."""
    fields = specs(prompt.content())
    if request.method == "POST":
        return TryForm(fields, request.POST)
    if shown is None:
        return TryForm(fields)
    boolean = {spec.name for spec in fields if spec.kind == "yes_no"}
    typed = {name: value == "yes" if name in boolean else value for name, value in shown.inputs.items()}
    return TryForm(fields, initial=typed)


def _answer_context(prompt: Prompt, call: Call | None) -> dict[str, Any]:
    if call is None:
        return {"call": None}
    return {
        "call": call,
        "text": call.text if call.finished else text_so_far(call.pk),
        "records": list(call.cost_records.all()),
        "events": "" if call.finished else address("call_events", call.pk),
        "panel": "" if call.finished else reverse("admin:core_prompt_answer", args=[prompt.pk, call.pk]),
    }
