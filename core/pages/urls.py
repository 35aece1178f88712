"""Which page answers at which address?"""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path
from django.views.generic import RedirectView

from core.pages.account import Login, PasswordChange
from core.pages.budgets import budget, budget_ask, budgets
from core.pages.bulk import bulk, bulk_new
from core.pages.bulk_change import (
    bulk_again,
    bulk_cancel,
    bulk_columns,
    bulk_discard,
    bulk_file,
    bulk_row,
    bulk_start,
)
from core.pages.bulk_programs import bulk_program, bulk_program_cancel, bulk_program_results
from core.pages.bulk_run import bulk_results, bulk_run
from core.pages.call_events import call_events
from core.pages.calls import call, call_again, call_cancel, call_download, call_now
from core.pages.catalogue import catalogue
from core.pages.chat import (
    chat,
    chat_again,
    chat_delete,
    chat_edit,
    chat_say,
    chat_settings,
    chat_stop,
    chat_summary,
    conversation,
)
from core.pages.chat_files import chat_file
from core.pages.health import healthz, readyz
from core.pages.history import calls
from core.pages.metrics import metrics
from core.pages.prompt_form import prompt_estimate, prompt_form
from core.pages.spend import spend, spend_file
from core.pages.usage import usage, usage_file

urlpatterns: list[URLPattern] = [
    path("", catalogue, name="catalogue"),
    path("p/<slug:slug>/", prompt_form, name="prompt_form"),
    path("p/<slug:slug>/estimate/", prompt_estimate, name="prompt_estimate"),
    path("calls/", calls, name="calls"),
    path("calls/<uuid:call_id>/", call, name="call"),
    path("calls/<uuid:call_id>/events", call_events, name="call_events"),
    path("calls/<uuid:call_id>/answer.md", call_download, name="call_download"),
    path("calls/<uuid:call_id>/again/", call_again, name="call_again"),
    path("calls/<uuid:call_id>/now/", call_now, name="call_now"),
    path("calls/<uuid:call_id>/cancel/", call_cancel, name="call_cancel"),
    path("bulk/", bulk, name="bulk"),
    path("bulk/new/", bulk_new, name="bulk_new"),
    path("bulk/<uuid:pk>/", bulk_run, name="bulk_run"),
    path("bulk/<uuid:pk>/file/", bulk_file, name="bulk_file"),
    path("bulk/<uuid:pk>/columns/", bulk_columns, name="bulk_columns"),
    path("bulk/<uuid:pk>/rows/<int:line>/", bulk_row, name="bulk_row"),
    path("bulk/<uuid:pk>/start/", bulk_start, name="bulk_start"),
    path("bulk/<uuid:pk>/cancel/", bulk_cancel, name="bulk_cancel"),
    path("bulk/<uuid:pk>/again/", bulk_again, name="bulk_again"),
    path("bulk/<uuid:pk>/discard/", bulk_discard, name="bulk_discard"),
    path("bulk/<uuid:pk>/results.csv", bulk_results, {"kind": "csv"}, name="bulk_csv"),
    path("bulk/<uuid:pk>/results.xlsx", bulk_results, {"kind": "xlsx"}, name="bulk_xlsx"),
    path("bulk/programs/<str:public_id>/", bulk_program, name="bulk_program"),
    path("bulk/programs/<str:public_id>/cancel/", bulk_program_cancel, name="bulk_program_cancel"),
    path("bulk/programs/<str:public_id>/results.csv", bulk_program_results, {"kind": "csv"}, name="bulk_program_csv"),
    path(
        "bulk/programs/<str:public_id>/results.xlsx", bulk_program_results, {"kind": "xlsx"}, name="bulk_program_xlsx"
    ),
    path("chat/", chat, name="chat"),
    path("chat/<uuid:pk>/", conversation, name="chat_conversation"),
    path("chat/<uuid:pk>/say/", chat_say, name="chat_say"),
    path("chat/<uuid:pk>/summary/", chat_summary, name="chat_summary"),
    path("chat/<uuid:pk>/settings/", chat_settings, name="chat_settings"),
    path("chat/<uuid:pk>/delete/", chat_delete, name="chat_delete"),
    path("chat/<uuid:pk>/<int:turn>/again/", chat_again, name="chat_again"),
    path("chat/<uuid:pk>/<int:turn>/edit/", chat_edit, name="chat_edit"),
    path("chat/<uuid:pk>/<int:turn>/stop/", chat_stop, name="chat_stop"),
    path("chat/files/<uuid:pk>", chat_file, name="chat_file"),
    path("spend/", spend, name="spend"),
    path("spend/export.csv", spend_file, {"kind": "csv"}, name="spend_csv"),
    path("spend/export.xlsx", spend_file, {"kind": "xlsx"}, name="spend_xlsx"),
    path("usage/", usage, name="usage"),
    path("usage/export.csv", usage_file, {"kind": "csv"}, name="usage_csv"),
    path("usage/export.xlsx", usage_file, {"kind": "xlsx"}, name="usage_xlsx"),
    path("budgets/", budgets, name="budgets"),
    path("budgets/<int:pk>/", budget, name="budget"),
    path("budgets/<int:pk>/ask/", budget_ask, name="budget_ask"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", PasswordChange.as_view(), name="password_change"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    # Browsers ask for it whatever the page says.
    path("favicon.ico", RedirectView.as_view(url="/static/core/favicon.svg"), name="favicon"),
]
