"""How does a file of a chat come back to whoever attached it, without being able to act in their browser?"""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from core.models import Attachment
from core.pages.chat import may_chat
from core.pages.errors import helpful_404

# Nothing in it may load, run, send or frame anything.
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


@helpful_404
@may_chat
@require_safe
def chat_file(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A file, to be saved and not to be opened here; a page may show it as a picture where it is one."""
    found = Attachment.objects.of_person(request.user).select_related("file").filter(pk=pk).first()
    if found is None:
        raise Http404("no such file, or not yours")
    kind = f"{found.media_type}; charset=utf-8" if found.media_type == "text/plain" else found.media_type
    response = HttpResponse(bytes(found.file.data), content_type=kind)
    response.headers["Content-Disposition"] = content_disposition_header(True, found.name) or "attachment"
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
