"""The pages, admin and event streams: what the process `web` serves."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

application = get_asgi_application()
