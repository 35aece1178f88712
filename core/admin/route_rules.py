"""How is one rule of a route written, moved and deleted?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from core.admin.base import page, require
from core.admin.route_forms import KINDS, ConditionForm, OutcomeForm, initial_of
from core.models import Route, Rule
from core.routing.conditions import CONDITIONS
from core.routing.known import Names, known_now
from core.routing.problems import problems

if TYPE_CHECKING:
    from core.admin.routes import RouteAdmin

# More than anybody reads; the form stops offering another one.
MOST_CONDITIONS = 20


def edit(request: HttpRequest, pk: int, model_admin: RouteAdmin, rule_pk: int | None = None) -> HttpResponse:
    """The form of a rule, a new one without `rule_pk`. «Add» and «update» show it again; «save» keeps it."""
    route = draft_for(model_admin, request, pk)
    rule = get_object_or_404(route.rules, pk=rule_pk) if rule_pk else Rule(route=route, position=_end(route))
    outcome, conditions = _forms(request, rule)
    refusals: list[str] = []
    if request.method == "POST" and "add" not in request.POST:
        kept = [form for form in conditions if not form.removed]
        # Both are checked, so that all mistakes are shown at once.
        if all([outcome.is_valid(), *(form.is_valid() for form in kept)]):
            _fill(rule, outcome.cleaned_data, [form.stored() for form in kept])
            refusals = refusals_of(route, rule)
            if not refusals:
                rule.save()
                route.save(update_fields=["updated_at"])
                model_admin.log_change(request, route, f"Rule «{rule}» saved.")
                messages.success(request, f"The rule «{rule}» is saved in the draft.")
                return back_to(route)
    return page(
        model_admin,
        request,
        "admin/core/route/rule.html",
        route,
        title="Rule" if rule.pk else "New rule",
        rule=rule,
        outcome=outcome,
        conditions=conditions,
        kinds=KINDS if len(conditions) < MOST_CONDITIONS else [],
        refusals=[{"message": message} for message in refusals],
    )


def move(request: HttpRequest, pk: int, rule_pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """One place up or down."""
    return _moved(request, pk=pk, rule_pk=rule_pk, model_admin=model_admin)


@require_POST
def _moved(request: HttpRequest, pk: int, rule_pk: int, model_admin: RouteAdmin) -> HttpResponse:
    route = draft_for(model_admin, request, pk)
    with transaction.atomic():
        Route.objects.select_for_update().get(pk=route.pk)
        rules = list(route.rules.all())
        place = next((n for n, rule in enumerate(rules) if rule.pk == rule_pk), None)
        other = None if place is None else place + (-1 if request.POST.get("to") == "up" else 1)
        if place is not None and other is not None and 0 <= other < len(rules):
            rules[place], rules[other] = rules[other], rules[place]
        for position, rule in enumerate(rules):
            rule.position = position
        Rule.objects.bulk_update(rules, ["position"])
    return back_to(route)


def delete(request: HttpRequest, pk: int, rule_pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """Ask, and then delete it from the draft."""
    route = draft_for(model_admin, request, pk)
    rule = get_object_or_404(route.rules, pk=rule_pk)
    if request.method != "POST":
        words = Names(rule.conditions).rule(rule.conditions)
        template = "admin/core/route/rule_delete.html"
        return page(model_admin, request, template, route, title="Delete a rule", rule=rule, words=words)
    rule.delete()
    model_admin.log_change(request, route, f"Rule «{rule}» deleted.")
    messages.success(request, f"The rule «{rule}» is deleted from the draft.")
    return back_to(route)


def draft_for(model_admin: RouteAdmin, request: HttpRequest, pk: int) -> Route:
    """The route, for a person who may change its draft. Raises PermissionDenied and Http404."""
    route = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_change_permission(request, route))
    return route


def back_to(route: Route) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:core_route_change", args=[route.pk]) + "#rules")


def refusals_of(route: Route, rule: Rule) -> list[str]:
    """Why this rule, as it is now, cannot be in the draft; what is wrong with other rules is said elsewhere."""
    rules = [rule if other.pk == rule.pk else other for other in route.rules.all()]
    if rule._state.adding:
        rules.append(rule)
    content = {**route.content(), "rules": [each.as_dict() for each in rules]}
    return [p.message for p in problems(content, known_now(content)) if p.refused and p.rule == rules.index(rule)]


def _forms(request: HttpRequest, rule: Rule) -> tuple[OutcomeForm, list[ConditionForm]]:
    """Bound to what was posted, with a further empty one where that was asked for; otherwise as stored."""
    if request.method != "POST":
        initial = {"name": rule.name, **rule.outcome()}
        return OutcomeForm(initial=initial), [
            ConditionForm(stored["kind"], initial=initial_of(stored), prefix=f"c{number}")
            for number, stored in enumerate(rule.conditions)
            if stored["kind"] in CONDITIONS
        ]
    kinds = _posted_kinds(request)
    bound = [ConditionForm(kind, request.POST, prefix=f"c{number}") for number, kind in enumerate(kinds)]
    adding = "add" in request.POST
    if adding:
        # Shown again as it was typed, and checked only when it is saved.
        bound = [ConditionForm(form.kind, initial=_typed(form), prefix=form.prefix) for form in bound]
        if request.POST.get("kind") in CONDITIONS and len(bound) < MOST_CONDITIONS:
            bound.append(ConditionForm(request.POST["kind"], prefix=f"c{len(bound)}"))
    outcome = OutcomeForm(request.POST)
    return OutcomeForm(initial=_typed(outcome)) if adding else outcome, bound


def _posted_kinds(request: HttpRequest) -> list[str]:
    kinds: list[str] = []
    while (kind := request.POST.get(f"c{len(kinds)}-kind", "")) in CONDITIONS and len(kinds) < MOST_CONDITIONS:
        kinds.append(kind)
    return kinds


def _typed(form: Any) -> dict[str, Any]:
    return {bound.name: bound.value() for bound in form}


def _fill(rule: Rule, outcome: dict[str, Any], conditions: list[dict[str, Any]]) -> None:
    rule.conditions = conditions
    for name in ("model", "effort", "max_tokens", "batch"):
        setattr(rule, name, outcome[name])
    rule.name = outcome["name"] or _name(conditions, outcome["model"])


def _name(conditions: list[dict[str, Any]], model: str) -> str:
    """«the group is Support → fast», where nobody gave a name."""
    end = f" → {model}"
    return f"{Names(conditions).rule(conditions)[: 120 - len(end)]}{end}"[:120]


def _end(route: Route) -> int:
    return max((rule.position for rule in route.rules.all()), default=-1) + 1
