"""How do gunicorn's processes serve claudeapp? The settings that `web` and `api` share.

Read in gunicorn's first process, so that a senseless setting stops it there, with one line, before anything is served.
"""

import os

from claudeapp import settings

bind = f"{os.environ.get('HOST', '0.0.0.0')}:{settings.PORT}"  # noqa: S104 - behind a proxy it must be reachable
loglevel = settings.LOG_LEVEL.lower()
control_socket_disable = True
# Django has nothing to do when the server starts or stops.
asgi_lifespan = "off"
# Seconds: a page answers in far less, and what waits longer is asynchronous.
timeout = 60
graceful_timeout = 10
