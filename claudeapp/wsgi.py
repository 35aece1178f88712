"""The same project for threads: what the process `api` serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from claudeapp.slow_clients import timed_wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

application = timed_wsgi(get_wsgi_application(), settings.CLIENT_PATIENCE)
