"""Which address of a WebSocket leads where?"""

from __future__ import annotations

from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from core.sockets.chat import ChatSocket

# Wherever else somebody knocks, nobody is at home, and the log need not tell.
sockets = [path("ws/chat/", ChatSocket.as_asgi()), re_path("", WebsocketDenier.as_asgi())]
