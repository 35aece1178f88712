"""The pages, admin and event streams: what the process `web` serves."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

# WhiteNoise answers with plain iterators; its files are small, so that reading each in one go is as good.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = get_asgi_application()
