"""The pages, admin, event streams and WebSockets: what the process `web` serves."""

import os
import warnings

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

from claudeapp.slow_clients import timed_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

# WhiteNoise answers with plain iterators; its files are small, so that reading each in one go is as good.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

pages = timed_asgi(get_asgi_application(), settings.CLIENT_PATIENCE)

# Whoever answers sockets needs Django set up, as it is from here on.
from core.sockets.routes import sockets  # noqa: E402

application = ProtocolTypeRouter({"http": pages, "websocket": URLRouter(sockets)})
