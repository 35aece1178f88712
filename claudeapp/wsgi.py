"""The same project for threads: what the process `api` serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")

application = get_wsgi_application()
