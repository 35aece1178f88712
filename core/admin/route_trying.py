"""What would a route do with this request? Shown without asking the model that would answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from core.admin.base import page, signed_in
from core.admin.route_publishing import route_for
from core.admin.route_words import RuleWords, rules_of
from core.costs.budgets import OverBudgetError
from core.execution import breaker
from core.models import Call, Key, Prompt, User
from core.routing.conditions import LANES
from core.routing.known import Names
from core.routing.rules import Decision
from core.routing.trying import Trial, try_route

if TYPE_CHECKING:
    from core.admin.routes import RouteAdmin


@dataclass(frozen=True)
class Verdict:
    """What a rule said: `state` is matched, failed or not looked at; `why` names the condition that did not hold."""

    rule: RuleWords
    state: str
    why: str = ""


class RouteTryForm(forms.Form):
    """A request, who sends it, and how."""

    text = forms.CharField(
        label="Request", max_length=100_000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="What a person or program would send.",
    )  # fmt: skip
    user: forms.ModelChoiceField[User] = forms.ModelChoiceField(
        label="Person", queryset=User.objects.none(), required=False, empty_label="nobody signed in",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    key: forms.ModelChoiceField[Key] = forms.ModelChoiceField(
        label="Key", queryset=Key.objects.none(), required=False, empty_label="no key", widget=UnfoldAdminSelectWidget
    )
    prompt: forms.ModelChoiceField[Prompt] = forms.ModelChoiceField(
        label="Prompt", queryset=Prompt.objects.none(), required=False, empty_label="no prompt",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    lane = forms.ChoiceField(label="Lane", choices=LANES, widget=UnfoldAdminSelectWidget)
    max_tokens = forms.IntegerField(
        label="Longest answer in tokens", min_value=1, max_value=1_000_000, widget=UnfoldAdminIntegerFieldWidget
    )
    which = forms.ChoiceField(
        label="Which rules", choices=[("draft", "the draft"), ("published", "what is published")],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    ask = forms.BooleanField(
        label="Ask the classifiers", required=False, widget=UnfoldBooleanWidget,
        help_text="Where a rule looks at one: a small question, billed to you. Otherwise its default label counts, or "
        "what it said of the same request within a day.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (
            ("user", User.objects.filter(is_active=True).order_by("username")),
            ("key", Key.objects.filter(revoked_at=None)),
            ("prompt", Prompt.objects.all()),
        ):
            self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def sample(self) -> Call:
        """The call that this would be; it is not stored."""
        values = self.cleaned_data
        request = {
            "model": "",
            "max_tokens": values["max_tokens"],
            "messages": [{"role": "user", "content": values["text"]}],
        }
        door = Call.Door.FORM if values["key"] is None else Call.Door.API
        return Call(
            user=values["user"],
            key=values["key"],
            prompt=values["prompt"],
            door=door,
            lane=values["lane"],
            request=request,
        )


def try_out(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """The form, and after sending it each rule's verdict, the model, and what this and the other models would cost."""
    route = route_for(model_admin, request, pk, "core.try_route")
    user = signed_in(request)
    defaults = {"user": user.pk, "lane": "sync", "max_tokens": 1000, "which": "draft", "ask": True}
    form = RouteTryForm(request.POST) if request.method == "POST" else RouteTryForm(initial=defaults)
    trial, content = None, route.content()
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["which"] == "published" and route.published is not None:
            content = route.published.content
        try:
            trial = try_route(content, form.sample(), user, ask=form.cleaned_data["ask"], unavailable=breaker.is_open)
        except OverBudgetError as error:
            messages.error(request, f"The classifiers were not asked. {error}")
    return page(
        model_admin,
        request,
        "admin/core/route/try.html",
        route,
        title="Try it",
        form=form,
        trial=trial,
        verdicts=verdicts_of(content, trial.decision) if trial else [],
    )


def verdicts_of(content: dict[str, Any], decision: Decision) -> list[Verdict]:
    """Each rule with what it said, in the order in which they were looked at."""
    failed = dict(decision.failed)
    names = Names([condition for rule in content["rules"] for condition in rule["conditions"]])
    found = []
    for place, words in enumerate(rules_of(content)):
        if place == decision.rule:
            found.append(Verdict(words, "matched"))
        elif place in failed:
            missing = names.sentence(content["rules"][place]["conditions"][failed[place]])
            found.append(Verdict(words, "failed", missing))
        else:
            found.append(Verdict(words, "not looked at"))
    return found


__all__ = ["Trial", "Verdict", "try_out", "verdicts_of"]
