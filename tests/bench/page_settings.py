"""The project's own settings, for pages whose static files nobody collected."""

from claudeapp.settings import *  # noqa: F403
from claudeapp.settings import STORAGES

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
