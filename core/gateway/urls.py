"""Which of the Claude API's addresses are served here?"""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from core.gateway.batches import batch, batches, cancel, results
from core.gateway.entry import unknown
from core.gateway.messages import messages
from core.gateway.passing import count_tokens, model, models

urlpatterns: list[URLPattern] = [
    path("v1/messages", messages, name="v1_messages"),
    path("v1/messages/count_tokens", count_tokens, name="v1_count_tokens"),
    path("v1/messages/batches", batches, name="v1_batches"),
    path("v1/messages/batches/<str:batch_id>", batch, name="v1_batch"),
    path("v1/messages/batches/<str:batch_id>/cancel", cancel, name="v1_batch_cancel"),
    path("v1/messages/batches/<str:batch_id>/results", results, name="v1_batch_results"),
    path("v1/models", models, name="v1_models"),
    path("v1/models/<path:model_id>", model, name="v1_model"),
    re_path(r"^v1(?:/.*)?$", unknown),
]
