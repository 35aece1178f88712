"""The pages, admin and event streams: what the process `web` serves."""

import os
import warnings

from django.conf import settings
from django.core.asgi import get_asgi_application

from claudeapp.slow_clients import timed_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

# WhiteNoise answers with plain iterators; its files are small, so that reading each in one go is as good.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = timed_asgi(get_asgi_application(), settings.CLIENT_PATIENCE)
