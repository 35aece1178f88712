"""Which roles come ready, and what may each of them do?"""

from __future__ import annotations

from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps

# Each role lists all it may do; a person with two roles may do what either allows.
_LOOK_AT_PROMPTS = [
    "view_prompt",
    "view_promptversion",
    "view_variable",
    "view_systemprompt",
    "view_systempromptversion",
]
_LOOK_AT_CATALOGUE = ["view_claudemodel", "view_price", "view_modelalias"]
_LOOK_AT_ROUTES = [f"view_{model}" for model in ("route", "rule", "routeversion", "classifier", "classifierlabel")]
_EDIT_ROUTES = [
    *_LOOK_AT_ROUTES,
    "add_route",
    "change_route",
    *(f"{verb}_rule" for verb in ("add", "change", "delete")),
    "try_route",
]
# What is changed here counts from the next request on.
_PUBLISH_ROUTES = [
    *_EDIT_ROUTES,
    "publish_route",
    "delete_route",
    *(f"{verb}_{model}" for verb in ("add", "change", "delete") for model in ("classifier", "classifierlabel")),
    *(f"{verb}_modelalias" for verb in ("add", "change", "delete")),
    "measure_classifier",
]
_EDIT_PROMPTS = [
    *_LOOK_AT_PROMPTS,
    *_LOOK_AT_CATALOGUE,
    *_EDIT_ROUTES,
    "add_prompt",
    "change_prompt",
    "try_prompt",
    *(f"{verb}_variable" for verb in ("add", "change", "delete")),
    *(f"{verb}_systemprompt" for verb in ("add", "change")),
]
_PUBLISH_PROMPTS = [*_EDIT_PROMPTS, *_PUBLISH_ROUTES, "publish_prompt", "delete_prompt", "delete_systemprompt"]
_SEE_MONEY = ["view_spend", "view_costrecord", "view_call", "view_batch", "view_all_calls", *_LOOK_AT_CATALOGUE]
_LOOK_AT_BUDGETS = ["view_budget", "view_budgetwindow", "view_budgetrequest"]
_KEEP_BUDGETS = [*_LOOK_AT_BUDGETS, "add_budget", "change_budget", "delete_budget", "decide_any_budget"]
_KEEP_PRICES = ["add_price", "change_price", "delete_price", "approve_price"]
_FINANCE = [*_SEE_MONEY, *_KEEP_BUDGETS, *_KEEP_PRICES, "close_month", "correct_cost"]
# Each sees and changes their own keys only; see `manage_any_key`.
_OWN_KEYS = ["view_key", "add_key", "change_key"]
_KEEP_GATEWAY = [
    *_OWN_KEYS,
    "manage_any_key",
    *(f"{verb}_{table}" for table in ("fallbackchain", "fallbackstep") for verb in ("view", "add", "change", "delete")),
    "reset_breaker",
]
_OPERATE = [
    *_LOOK_AT_PROMPTS,
    *_KEEP_GATEWAY,
    *_PUBLISH_ROUTES,
    *_SEE_MONEY,
    "change_claudemodel",
    "cancel_call",
    "rerun_call",
    "view_queues",
    "pause_queue",
    "run_housekeeping",
    "view_conversation",
    "remove_demo",
]
_ADMINISTER = [
    *_PUBLISH_PROMPTS,
    *_FINANCE,
    "approve_own_price",
    *_OPERATE,
    *(f"{verb}_user" for verb in ("add", "change", "delete", "view")),
    *(f"{verb}_group" for verb in ("add", "change", "delete", "view")),
]

# Everybody with a role may ask Claude in words of their own; for who may not, give a group of your own instead.
_EVERYBODY = ["use_chat"]

ROLES: dict[str, list[str]] = {
    "Member": _EVERYBODY,
    "Prompt editor": [*_EVERYBODY, *_EDIT_PROMPTS],
    "Prompt publisher": [*_EVERYBODY, *_PUBLISH_PROMPTS],
    "Developer": [*_EVERYBODY, *_OWN_KEYS, *_LOOK_AT_CATALOGUE, "view_call", "view_batch"],
    "Finance": [*_EVERYBODY, *_FINANCE],
    "Operator": [*_EVERYBODY, *_OPERATE],
    "Administrator": [*_EVERYBODY, *_ADMINISTER],
}


def grant_roles(apps: Apps = global_apps, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    """Make the ready-made groups and give each what `ROLES` says and it lacks; what was added by hand stays."""
    group_model = apps.get_model("auth", "Group")
    permission_model = apps.get_model("auth", "Permission")
    for name, codenames in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        missing = permission_model.objects.filter(
            content_type__app_label__in=["core", "auth"], codename__in=codenames
        ).exclude(pk__in=group.permissions.values("pk"))
        group.permissions.add(*missing)
