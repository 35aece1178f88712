"""The pages, admin, event streams and WebSockets: what the process `web` serves."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from claudeapp.one_hop import one_hop_application
from claudeapp.slow_clients import timed_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

pages = timed_asgi(one_hop_application(), settings.CLIENT_PATIENCE)

# Whoever answers sockets needs Django set up, as it is from here on.
from core.sockets.routes import sockets  # noqa: E402

application = ProtocolTypeRouter({"http": pages, "websocket": URLRouter(sockets)})
