"""Who may read the metrics, and in which form do they come?"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.operations.metrics import CONTENT_TYPE, text

log = logging.getLogger(__name__)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """All for Prometheus with its token; for staff with leave for the queues what they may see; for nobody else."""
    token = _has_token(request)
    if not token and not (request.user.is_staff and request.user.has_perm("core.view_queues")):
        status = 403 if request.user.is_authenticated else 401
        told = HttpResponse("a token, please\n", status=status, content_type="text/plain")
        told["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return told
    try:
        return HttpResponse(text(_sees_all if token else request.user.has_perm), content_type=CONTENT_TYPE)
    except Error:
        log.exception("no metrics while the database is away")
        return HttpResponse("no answer from: database\n", status=503, content_type="text/plain")


def _sees_all(_: str) -> bool:
    return True


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    expected = settings.METRICS_TOKEN
    return bool(expected) and scheme.lower() == "bearer" and constant_time_compare(token.strip(), expected)
