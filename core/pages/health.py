"""Is this process alive, and can it reach what it needs?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from core.hints.connection import quick_redis

log = logging.getLogger(__name__)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """200 while database and Redis answer, else 503 with the names of those that do not."""
    silent = [name for name, answers in CHECKS.items() if not answers()]
    if not silent:
        return HttpResponse("ok\n", content_type="text/plain")
    return HttpResponse(f"no answer from: {', '.join(silent)}\n", status=503, content_type="text/plain")


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        log.exception("the database does not answer")
        return False
    return True


def _redis_answers() -> bool:
    try:
        return bool(quick_redis().ping())
    except RedisError:
        log.exception("Redis does not answer")
        return False


CHECKS: dict[str, Callable[[], bool]] = {"database": _database_answers, "redis": _redis_answers}
