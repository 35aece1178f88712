"""What do all admin pages build on?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import PROTECT, ForeignObjectRel, Model
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from core.admin.paging import KeysFirstPaginator
from core.models import User

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, StackedInline
    from django.forms import ModelForm

    F = TypeVar("F", bound=Callable[..., Any])

    def display(**options: Any) -> Callable[[F], F]: ...
    def action(**options: Any) -> Callable[[F], F]: ...
else:
    from unfold.admin import ModelAdmin as ThemedModelAdmin
    from unfold.admin import StackedInline as ThemedStackedInline
    from unfold.decorators import action, display

    # The theme has no types; these take the type arguments that the checker sees.
    class ModelAdmin(ThemedModelAdmin):
        compressed_fields = False
        list_fullwidth = True

        def __class_getitem__(cls, _model):
            return cls

    class StackedInline(ThemedStackedInline):
        def __class_getitem__(cls, _models):
            return cls

    class ModelForm(forms.ModelForm):
        def __class_getitem__(cls, _model):
            return cls


__all__ = [
    "Endless",
    "ModelAdmin",
    "ModelForm",
    "ReadOnly",
    "StackedInline",
    "action",
    "address",
    "display",
    "in_the_way",
    "link",
    "page",
    "require",
    "signed_in",
    "without_links",
]


if TYPE_CHECKING:
    _Rights = BaseModelAdmin[Any]
else:
    _Rights = object


class ReadOnly(_Rights):
    """Rows that nobody writes here: for viewing, with whatever actions the class offers."""

    def has_add_permission(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002 - with and without an object
        return False

    def has_change_permission(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002 - with and without an object
        return False

    def has_delete_permission(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002 - with and without an object
        return False


class Endless(_Rights):
    """A list of millions of rows: nothing in it is counted, sorted at will or ticked all at once.

    Counting them takes longer than a page may, and a sort needs an index of its own.
    """

    paginator: Any = KeysFirstPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    # Each row is drawn anew by the theme's templates, which is most of what a list takes.
    list_per_page = 25
    sortable_by = ()


def signed_in(request: HttpRequest) -> User:
    """The person behind a request that the admin has let in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def require(allowed: bool) -> None:
    if not allowed:
        raise PermissionDenied


def page(
    admin: ModelAdmin[Any], request: HttpRequest, template: str, original: Model | None, **context: Any
) -> TemplateResponse:
    """One of our own pages inside the admin: `original` is the row that it is about."""
    values = {**admin.admin_site.each_context(request), "opts": admin.opts, "original": original, **context}
    return TemplateResponse(request, template, values)


def address(name: str, *args: object) -> str:
    """The address of a page, empty where this installation has no such page."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def link(row: Model | None, text: str = "") -> str:
    """A link to a row's page in the admin, or a dash."""
    if row is None:
        return "–"
    target = address(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)
    return format_html('<a href="{}" class="text-link">{}</a>', target, text or str(row)) if target else str(row)


def without_links(field: Any) -> Any:
    """A form field without the menu that leads away to add or change what it offers."""
    for link_name in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
        if hasattr(field.widget, link_name):
            setattr(field.widget, link_name, False)
    return field


def in_the_way(row: Model) -> Iterator[str]:
    """What kinds of rows keep `row` from being deleted; each is asked for one row only, however many there are."""
    for relation in row._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and relation.on_delete is PROTECT:
            model = relation.related_model
            if model._base_manager.filter(**{relation.field.name: row.pk}).exists():
                yield str(model._meta.verbose_name_plural)
