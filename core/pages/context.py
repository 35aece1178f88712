"""What does every page need to know?"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def installation(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - the context processor's signature
    return {"simulated": settings.SIMULATED}
