"""What does a plain request get at the address of a WebSocket?"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

NO_SOCKET = (
    "This address speaks WebSocket only. Where a proxy stands before this server, it has to pass the headers Upgrade "
    "and Connection on; and the process that answers has to be «web», as «api» has no sockets.\n"
)


def upgrade_required(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return HttpResponse(NO_SOCKET, status=426, content_type="text/plain", headers={"Upgrade": "websocket"})


urlpatterns = [path("ws/chat/", upgrade_required, name="chat_socket")]
