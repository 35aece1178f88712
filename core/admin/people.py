"""Who may sign in, and what may each of them do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from core.admin.base import ModelAdmin, display, in_the_way, signed_in, without_links
from core.admin.deletion import Explained
from core.models import Budget, Key, Prompt, User

if TYPE_CHECKING:
    _UserBase = PlainUserAdmin[User]
    _GroupBase = PlainGroupAdmin
    _PermissionBase = forms.ModelMultipleChoiceField[Permission]
else:
    _PermissionBase = forms.ModelMultipleChoiceField

    class _UserBase(PlainUserAdmin, ModelAdmin):
        pass

    class _GroupBase(PlainGroupAdmin, ModelAdmin):
        pass


_WITHOUT_PAGE = [f"{verb}_permission" for verb in ("add", "change", "delete", "view")]
# Django's own words say «user», «staff» and «superuser status»; these say what it means here.
_FIELD_WORDS = {
    "username": ("User name", "What the person signs in with."),
    "is_active": ("May sign in", "Take this away instead of deleting a person: what they did stays in the books."),
    "is_staff": ("May open this administration", "What the person sees here depends on the roles below."),
    "groups": ("Roles", ""),
    "is_superuser": ("May do everything", "Whatever the roles say. One or two people should have this."),
}
# What each ready-made role is for, in a sentence.
ROLES_EXPLAINED = {
    "Member": "uses the published prompts on the site; needs no access to this administration",
    "Prompt editor": "writes drafts and tries them for real; does not publish",
    "Prompt publisher": "does what editors do, publishes, takes back and deletes prompts",
    "Finance": "sees what everybody spent, reads all calls, keeps prices and budgets, and decides who gets more",
    "Developer": "makes keys for programs of their own, and reads their calls",
    "Operator": "reads all calls, runs them again or cancels them, and looks after models, keys, fallbacks and queues",
    "Administrator": "does all of this, and manages people and roles",
}


def beyond(person: User, other: User) -> set[str]:
    """What `other` may do that `person` may not."""
    if person.is_superuser:
        return set()
    return {"everything"} if other.is_superuser else other.get_all_permissions() - person.get_all_permissions()


def grantable(person: User) -> QuerySet[Permission]:
    """The permissions that `person` has and so may give to others."""
    if person.is_superuser:
        return Permission.objects.all()
    held = Permission.objects.filter(group__user=person) | Permission.objects.filter(user=person)
    return Permission.objects.filter(pk__in=held.values("pk"))


def grantable_groups(person: User) -> QuerySet[Group]:
    """The groups all of whose permissions `person` has."""
    if person.is_superuser:
        return Group.objects.all()
    others = Permission.objects.exclude(pk__in=grantable(person).values("pk"))
    return Group.objects.exclude(permissions__in=others)


class PermissionChoice(_PermissionBase):
    """Permissions as sentences; those of Django's own tables, which have no page here, are left out."""

    def __init__(self, permissions: QuerySet[Permission]) -> None:
        chosen = permissions.filter(content_type__app_label__in=["core", "auth"]).exclude(codename__in=_WITHOUT_PAGE)
        super().__init__(
            chosen.select_related("content_type"),
            required=False,
            label="What it allows",
            widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        )

    def label_from_instance(self, obj: Permission) -> str:
        return obj.name


class WithPassword(UserCreationForm):  # type: ignore[misc]  # the theme has no types
    """Everybody signs in with a password here: Django's choice of going without one leads nowhere."""

    usable_password = None


@admin.register(User)
class UserAdmin(Explained, _UserBase):
    """People. Nobody can give what they do not have, or touch the account of somebody who may do more."""

    form = UserChangeForm
    add_form = WithPassword
    add_form_template = "admin/change_form.html"
    change_password_form = AdminPasswordChangeForm
    sortable_by = ("username", "last_login")
    list_display = ("username", "full_name", "email", "roles", "is_active", "is_staff", "last_login")
    list_filter = ("groups", "is_active", "is_staff")
    list_filter_submit = False
    search_help_text = "Search by name or e-mail address"
    filter_horizontal = ()
    keep_instead = "Make the account inactive instead: nobody can sign in with it then."
    _about = ("Who it is", {"fields": ("username", ("first_name", "last_name"), "email", "password_link")})
    _access = {"fields": ("is_active", "is_staff", "groups")}
    _limits = (
        "How much their programs may ask of Claude",
        {"fields": (("requests_per_minute", "tokens_per_minute"),), "classes": ("collapse",)},
    )
    _dates = ("When", {"fields": ("last_login", "date_joined")})
    add_fieldsets = (
        (
            "Who it is",
            {
                "fields": ("username", "password1", "password2"),
                "description": "After saving, choose this person's roles.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        access = {**self._access, "description": roles_explained()}
        sets = (self._about, ("What this person may do", access), self._limits, self._dates)
        if not signed_in(request).is_superuser:
            return sets
        beyond_roles = ("Beyond roles", {"fields": ("is_superuser", "user_permissions")})
        return (*sets[:2], beyond_roles, *sets[2:])

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:  # noqa: ARG002 - Django's
        return ("last_login", "date_joined", "password_link")

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name in _FIELD_WORDS:
            label, help_text = _FIELD_WORDS[db_field.name]
            kwargs |= {"label": label, "help_text": help_text}
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        return without_links(field) if db_field.name == "groups" else field

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._within(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._within(request, obj)

    def _within(self, request: HttpRequest, obj: object) -> bool:
        return not isinstance(obj, User) or not beyond(signed_in(request), obj)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        person = signed_in(request)
        if db_field.name == "groups":
            kwargs |= {"queryset": grantable_groups(person), "widget": UnfoldAdminCheckboxSelectMultipleWidget()}
            return super().formfield_for_manytomany(db_field, request, **kwargs)
        return PermissionChoice(grantable(person))

    @display(description="Password")
    def password_link(self, user: User) -> str:
        text = "Change the password" if user.has_usable_password() else "None yet: set one"
        return format_html('<a class="text-link" href="../password/">{}</a>', text)

    @display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    @display(description="Roles")
    def roles(self, user: User) -> str:
        names = ["Superuser"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "–"


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(_GroupBase):
    """Roles: groups with permissions. Seven come ready; an organisation may add its own."""

    list_display = ("name", "meaning")
    search_help_text = "Search by name"

    @display(description="What it is for")
    def meaning(self, group: Group) -> str:
        return ROLES_EXPLAINED.get(group.name, "made here")

    def get_deleted_objects(
        self,
        objs: Any,
        request: HttpRequest,  # noqa: ARG002 - Django's
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """A role that somebody has, or that opens or limits something, is kept: nobody is locked out by its end."""
        kept = [
            f"«{group}» is held by {' and '.join(held)}. Take it from them first."
            for group in objs
            if (held := _held(group))
        ]
        return [str(group) for group in objs], {"roles": len(objs)}, set(), kept

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._within(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._within(request, obj)

    def _within(self, request: HttpRequest, obj: object) -> bool:
        return not isinstance(obj, Group) or grantable_groups(signed_in(request)).filter(pk=obj.pk).exists()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        return PermissionChoice(grantable(signed_in(request)))


def _held(group: Group) -> list[str]:
    """What names the group: «2 people», «1 prompt»."""
    counts = {
        ("person", "people"): User.objects.filter(groups=group).count(),
        ("prompt", "prompts"): Prompt.objects.filter(groups=group).count(),
        ("key", "keys"): Key.objects.filter(groups=group).count(),
        ("budget", "budgets"): Budget.objects.filter(group=group).count(),
    }
    named = [f"{count} {one if count == 1 else many}" for (one, many), count in counts.items() if count]
    return [*named, *in_the_way(group)]


def roles_explained() -> str:
    """One line for each ready-made role."""
    lines = format_html_join("", "<li><strong>{}</strong> {}.</li>", ROLES_EXPLAINED.items())
    return format_html("Roles add up: a person with two may do what either allows.<ul>{}</ul>", lines)
