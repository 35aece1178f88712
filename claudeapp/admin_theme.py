"""How does the admin look, and how does its navigation follow the work?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Whether the person has one of these permissions."""

    def allowed(request: HttpRequest) -> bool:
        return any(request.user.has_perm(permission) for permission in permissions)

    return allowed


def _item(title: str, icon: str, page: str, *permissions: str) -> dict[str, Any]:
    item = {"title": title, "icon": icon, "link": reverse_lazy(page)}
    return {**item, "permission": _may(*permissions)} if permissions else item


def _never(request: HttpRequest) -> bool:  # noqa: ARG001 - the theme's signature
    return False


def _among_chains(request: HttpRequest) -> bool:
    """The breakers' address begins like that of the chains."""
    chains, breakers = reverse("admin:core_fallbackchain_changelist"), reverse("admin:core_breakers")
    return request.path.startswith(chains) and not request.path.startswith(breakers)


def _among_calls(request: HttpRequest) -> bool:
    """So does that of the calls that were given up."""
    calls, letters = reverse("admin:core_call_changelist"), reverse("admin:core_letters")
    return request.path.startswith(calls) and not request.path.startswith(letters)


def environment(request: HttpRequest) -> list[str] | None:  # noqa: ARG001 - the theme's signature
    """The badge in the header of each page."""
    return ["Simulator", "warning"] if settings.SIMULATED else None


def _stylesheet(request: HttpRequest) -> str:  # noqa: ARG001 - the theme's signature
    return static("core/admin/admin.css")


def _script(request: HttpRequest) -> str:  # noqa: ARG001 - the theme's signature
    return static("core/admin/admin.js")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "claudeapp",
    "SITE_HEADER": "claudeapp",
    "SITE_SUBHEADER": "Your use of Claude",
    "SITE_SYMBOL": "forum",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "claudeapp.admin_theme.environment",
    "GLOBAL_CALLBACK": "core.admin.queues.heading",
    "DASHBOARD_CALLBACK": "core.admin.start.dashboard",
    "STYLES": [_stylesheet],
    "SCRIPTS": [_script],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 185)",
            "100": "oklch(94% .035 185)",
            "200": "oklch(89% .065 185)",
            "300": "oklch(82% .09 185)",
            "400": "oklch(73% .1 185)",
            "500": "oklch(68% .1 185)",
            "600": "oklch(49% .085 185)",
            "700": "oklch(43% .075 185)",
            "800": "oklch(37% .062 185)",
            "900": "oklch(32% .05 185)",
            "950": "oklch(23% .04 185)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {"items": [_item("Start", "home", "admin:index")]},
            {
                "title": "Prompts",
                "items": [
                    _item("Prompts", "edit_note", "admin:core_prompt_changelist", "core.view_prompt"),
                    _item("System prompts", "notes", "admin:core_systemprompt_changelist", "core.view_systemprompt"),
                ],
            },
            {
                "title": "Routing",
                "items": [
                    _item("Routes", "alt_route", "admin:core_route_changelist", "core.view_route"),
                    _item("Aliases", "label", "admin:core_modelalias_changelist", "core.view_modelalias"),
                    _item("Classifiers", "category", "admin:core_classifier_changelist", "core.view_classifier"),
                ],
            },
            {
                "title": "Models and prices",
                "items": [
                    _item("Models", "neurology", "admin:core_claudemodel_changelist", "core.view_claudemodel"),
                    _item("Price book", "sell", "admin:core_price_changelist", "core.view_price"),
                ],
            },
            {
                "title": "Calls",
                "items": [
                    {
                        **_item("Calls", "swap_vert", "admin:core_call_changelist", "core.view_call"),
                        "active": _among_calls,
                    },
                    _item("Given up", "unsubscribe", "admin:core_letters", "core.view_call"),
                    _item("Chats", "chat", "admin:core_conversation_changelist", "core.view_conversation"),
                    _item("Batches", "table_rows", "admin:core_batch_changelist", "core.view_batch"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    _item("Spend", "monitoring", "spend", "core.view_spend"),
                    _item("Budgets", "savings", "admin:core_budget_changelist", "core.view_budget"),
                    _item(
                        "Budget periods", "date_range", "admin:core_budgetwindow_changelist", "core.view_budgetwindow"
                    ),
                    {
                        **_item("Requests for more", "pan_tool", "admin:core_budgetrequest_changelist"),
                        "permission": "core.admin.budgets.sees_requests",
                    },
                    _item("Cost records", "receipt_long", "admin:core_costrecord_changelist", "core.view_costrecord"),
                    _item("Closed months", "lock", "admin:core_closedmonth_changelist", "core.view_spend"),
                    _item(
                        "Reconciliation", "compare_arrows", "admin:core_reconciliation_changelist", "core.view_spend"
                    ),
                ],
            },
            {
                "title": "Programs",
                "items": [
                    _item("Keys", "key", "admin:core_key_changelist", "core.view_key"),
                    {
                        **_item(
                            "Fallback chains",
                            "alt_route",
                            "admin:core_fallbackchain_changelist",
                            "core.view_fallbackchain",
                        ),
                        "active": _among_chains,
                    },
                    _item("Breakers", "electrical_services", "admin:core_breakers", "core.view_fallbackchain"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("People", "person", "admin:core_user_changelist", "core.view_user"),
                    _item("Roles", "badge", "admin:auth_group_changelist", "auth.view_group"),
                ],
            },
            {
                "title": "Operations",
                "items": [
                    _item("Operations", "monitor_heart", "admin:core_operations", "core.view_queues"),
                    _item("Queues", "stacks", "admin:django_rq_dashboard_changelist", "core.view_queues"),
                ],
            },
            # Its address is the beginning of all others, so the theme would always take it for the page one is on.
            {"separator": True, "items": [{**_item("Back to the site", "arrow_back", "catalogue"), "active": _never}]},
        ],
    },
}
