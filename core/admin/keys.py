"""Which programs may call, and who makes, rotates and revokes their keys?"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from core.admin import key_pages
from core.admin.base import ModelAdmin, display, signed_in, without_links
from core.admin.key_form import MANAGED, KeyForm, NewKeyForm
from core.admin.key_rights import may_manage_any, may_see
from core.intake.keys import issue
from core.models import FallbackChain, Key, KeySecret, Prompt, User
from core.reports.periods import Period
from core.reports.sums import per_step
from core.templatetags.admin_words import moment, usd

_STATES = {
    "Open": "success",
    "Being rotated": "info",
    "Expired": "warning",
    "Revoked": "default",
    "Owner left": "danger",
}


class KeyStateFilter(admin.SimpleListFilter):
    """What is revoked is only there for those who look for it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_args: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("unused", "Open, unused for 90 days"), ("closed", "Revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Key]) -> QuerySet[Key]:  # noqa: ARG002 - Django's
        now = timezone.now()
        closed = Q(revoked_at__isnull=False) | Q(expires_at__lte=now)
        if self.value() == "closed":
            return queryset.filter(closed)
        if self.value() == "unused":
            long_ago = now - dt.timedelta(days=90)
            unused = Q(last_used_at=None, created_at__lt=long_ago) | Q(last_used_at__lt=long_ago)
            return queryset.exclude(closed).filter(unused)
        return queryset.exclude(closed) if self.value() == "open" else queryset.filter(revoked_at=None)


class WithSpend(ChangeList):
    """The list, and what each key on the page spent this month: one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        today = timezone.localdate()
        keys = list(self.result_list)
        values = [str(key.pk) for key in keys]
        sums = per_step("key", Period(today.replace(day=1), today), monthly=True, values=values) if values else {}
        spent = {value: each for (_, value), each in sums.items()}
        for key in keys:
            key.spent = spent.get(str(key.pk))
        self.result_list = keys


@admin.register(Key)
class KeyAdmin(ModelAdmin[Key]):
    """Keys: everybody's for those who may manage any, one's own for the others. None is deleted: calls refer to it."""

    form = KeyForm
    list_display = ("name", "prefixes", "user", "state", "used", "expires", "month")
    list_filter = (KeyStateFilter,)
    list_before_template = "admin/core/key/intro.html"
    change_form_outer_before_template = "admin/core/key/status.html"
    search_fields = ("name", "secrets__prefix", "user__username")
    search_help_text = "Search by name, first characters or owner"
    sortable_by = ("name", "used")
    actions = None
    ordering = ("name", "pk")
    _what = ("models_allowed", "prompts_allowed", ("route", "model"))
    _serving = (("attempts", "try_seconds", "patience_seconds"), "fallback", "cancel_when_left", "cache_minutes")

    # --- Who may do what ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Key]:
        keys = super().get_queryset(request).select_related("user")
        keys = keys.prefetch_related(Prefetch("secrets", KeySecret.objects.select_related("created_by")))
        return keys if may_manage_any(request) else keys.filter(user=signed_in(request))

    def has_view_permission(self, request: HttpRequest, obj: Key | None = None) -> bool:
        return super().has_view_permission(request, obj) and may_see(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Key | None = None) -> bool:
        """What was revoked stays as it was."""
        open_still = obj is None or obj.revoked_at is None
        return super().has_change_permission(request, obj) and may_see(request, obj) and open_still

    def has_delete_permission(self, request: HttpRequest, obj: Key | None = None) -> bool:  # noqa: ARG002 - Django's
        return False

    # --- The form ---

    def get_form(self, request: Any, obj: Key | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = KeyForm if change else NewKeyForm
        return super().get_form(request, obj, change, **{"form": form, **kwargs})

    def get_fieldsets(self, request: HttpRequest, obj: Key | None = None) -> Any:
        managed = may_manage_any(request)
        whose = ("name", "user", "groups", "cost_centre") if managed else ("name",)
        limits = (("requests_per_minute", "tokens_per_minute"),) if managed or obj else ()
        money = ("budget",) if obj is None else ()
        return (
            ("Which program, and whose", {"fields": whose}),
            ("What it may use", {"fields": (*self._what, "expires_at")}),
            *((("How much", {"fields": (*money, *limits)}),) if money or limits else ()),
            ("How it is served", {"fields": self._serving, "classes": ("collapse",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Key | None = None) -> Any:
        if not may_manage_any(request):
            return MANAGED
        # Its calls were booked under its owner.
        return ("user",) if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return without_links(super().formfield_for_dbfield(db_field, request, **kwargs))

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs |= {"queryset": User.objects.filter(is_active=True).order_by("username"), "initial": request.user.pk}
        if db_field.name == "fallback":
            kwargs["queryset"] = FallbackChain.objects.all()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        if db_field.name == "prompts_allowed" and not may_manage_any(request):
            kwargs["queryset"] = Prompt.objects.usable_by(signed_in(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    # --- Making one ---

    def save_model(self, request: HttpRequest, obj: Key, form: Any, change: bool) -> None:
        if not change and not may_manage_any(request):
            obj.user = signed_in(request)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            budget = form.cleaned_data.get("budget")
            # On the form alone, and so in this one answer alone.
            form.instance.new_text = issue(form.instance, by=signed_in(request), budget=budget)

    def response_add(self, request: HttpRequest, obj: Key, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 - Django's
        return key_pages.shown_once(request, self, obj, obj.new_text, title="The new key")  # type: ignore[attr-defined]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        extra = {"key_status": key_pages.status_of(request, self, key)} if key else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        extra = {"own_only": not may_manage_any(request)}
        return super().changelist_view(request, {**extra, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One way to save it: the next page shows the key."""
        words = {"show_save_and_add_another": False, "show_save_and_continue": False, "title": "Make a key"}
        return super().add_view(request, form_url, {**words, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's
        return WithSpend

    def get_urls(self) -> list[URLPattern]:
        pages = {"rotate": key_pages.rotate_page, "revoke": key_pages.revoke_page}
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), {"model_admin": self}, name=f"core_key_{name}")
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def log_addition(self, request: HttpRequest, obj: Key, message: Any) -> Any:  # noqa: ARG002 - Django's
        return super().log_addition(request, obj, "Made.")

    # --- Columns ---

    @display(description="Begins with")
    def prefixes(self, key: Key) -> str:
        now = timezone.now()
        open_now = [secret for secret in key.secrets.all() if secret.expires_at is None or secret.expires_at > now]
        shown = ", ".join(str(secret) for secret in open_now) or "–"
        return format_html("<code>{}</code>", shown)

    @display(description="State", label=_STATES)
    def state(self, key: Key) -> str:
        return key_pages.state_of(key)

    @display(description="Last used", ordering="last_used_at")
    def used(self, key: Key) -> str:
        return moment(key.last_used_at) if key.last_used_at else "never"

    @display(description="Expires")
    def expires(self, key: Key) -> str:
        return moment(key.expires_at) if key.expires_at else "–"

    @display(description="Spent this month")
    def month(self, key: Any) -> str:
        if key.spent is None:
            return "–"
        unknown = f" and {key.spent.unknown:,} unknown" if key.spent.unknown else ""
        return f"{usd(key.spent.amount)}{unknown}"
