"""How does a route's draft, or an older version, become what requests follow, and how is that taken back?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from core.admin.base import page, require, signed_in
from core.admin.route_rules import back_to
from core.admin.route_words import differences, rules_of, sections
from core.models import Route
from core.models.prompts import digest_of
from core.routing.known import known_now
from core.routing.problems import problems

if TYPE_CHECKING:
    from core.admin.routes import RouteAdmin

# The newest publications; older ones are kept all the same.
SHOWN = 100


def route_for(model_admin: RouteAdmin, request: HttpRequest, pk: int, permission: str) -> Route:
    """The route, for a person who may see it and has `permission`. Raises PermissionDenied and Http404."""
    require(signed_in(request).has_perm(permission))
    route = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_view_permission(request, route))
    return route


def publish(request: HttpRequest, pk: int, model_admin: RouteAdmin, number: int | None = None) -> HttpResponse:
    """Show what would change for requests, and publish what was shown: the draft, or the version `number`."""
    route = route_for(model_admin, request, pk, "core.publish_route")
    version = get_object_or_404(route.versions, number=number) if number else None
    content = version.content if version else route.content()
    found = problems(content, known_now(content))
    refusals = [problem for problem in found if problem.refused]
    digest = digest_of(content)
    if request.method == "POST" and not refusals:
        if request.POST.get("digest") == digest:
            note = request.POST.get("note", "").strip()[:300]
            published = route.publish(signed_in(request), version, note)
            messages.success(request, f"Version {published.number} of «{route}» is published. Requests follow it now.")
            return back_to(route)
        messages.warning(request, "Somebody saved the draft in the meantime. This is what it says now.")
    current = route.published
    return page(
        model_admin,
        request,
        "admin/core/route/publish.html",
        route,
        title=f"Publish version {number} again" if number else "Publish",
        version=version,
        current=current,
        sections=differences(current.content if current else None, content),
        refusals=refusals,
        warnings=[problem.message for problem in found if not problem.refused],
        digest=digest,
    )


def withdraw(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """Ask, and then let nothing follow the route."""
    route = route_for(model_admin, request, pk, "core.publish_route")
    if route.published is None:
        messages.info(request, f"«{route}» is not published.")
        return back_to(route)
    if request.method != "POST":
        users = [*route.prompts.all(), *route.keys.all()]
        return page(model_admin, request, "admin/core/route/withdraw.html", route, title="Withdraw", users=users[:20])
    route.withdraw(signed_in(request))
    messages.success(request, f"«{route}» is withdrawn.")
    return back_to(route)


def back(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """One click: requests follow again what they followed before."""
    return _back(request, pk=pk, model_admin=model_admin)


@require_POST
def _back(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    route = route_for(model_admin, request, pk, "core.publish_route")
    before = route.before()
    if before is None or str(before.number) != request.POST.get("number"):
        messages.info(request, "There is nothing to go back to any more: somebody published in the meantime.")
        return back_to(route)
    refused = [problem for problem in problems(before.content, known_now(before.content)) if problem.refused]
    if refused:
        messages.error(request, f"Version {before.number} cannot be followed any more. {refused[0].message}")
        return back_to(route)
    route.publish(signed_in(request), before, "Taken back.")
    messages.success(request, f"Requests follow version {before.number} of «{route}» again. The draft is unchanged.")
    return back_to(route)


def listing(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """Who published what, and when."""
    route = route_for(model_admin, request, pk, "core.view_routeversion")
    return page(
        model_admin,
        request,
        "admin/core/route/versions.html",
        route,
        title="History",
        publications=route.publications.select_related("version", "by")[:SHOWN],
        may_publish=request.user.has_perm("core.publish_route"),
    )


def frozen(request: HttpRequest, pk: int, number: int, model_admin: RouteAdmin) -> HttpResponse:
    """One version as it was taken, compared with the draft or with what is published."""
    route = route_for(model_admin, request, pk, "core.view_routeversion")
    version = get_object_or_404(route.versions.select_related("created_by"), number=number)
    against = "draft" if request.GET.get("against") == "draft" or route.published is None else "published"
    other = route.content() if against == "draft" or route.published is None else route.published.content
    return page(
        model_admin,
        request,
        "admin/core/route/version.html",
        route,
        title=f"Version {number}",
        version=version,
        rules=rules_of(version.content),
        otherwise=sections(version.content)["When no rule matches"],
        against=against,
        sections=differences(version.content, other),
        may_publish=request.user.has_perm("core.publish_route"),
    )
