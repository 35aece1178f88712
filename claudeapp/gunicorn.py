"""How do gunicorn's processes serve claudeapp? The settings that `web` and `api` share.

Read in gunicorn's first process, so that a senseless setting stops it there, with one line, before anything is served.
"""

import gc
import importlib
import os
from typing import Any

from claudeapp import environment, settings
from claudeapp.slow_clients import limit_unread

# Set on the first reading: when gunicorn reads this again to reload, the port is its own.
FIRST = "CLAUDEAPP_GUNICORN"
if FIRST not in os.environ:
    os.environ[FIRST] = "started"
    environment.refuse_busy_port("PORT", settings.HOST, settings.PORT)

bind = f"{settings.HOST}:{settings.PORT}" if ":" not in settings.HOST else f"[{settings.HOST}]:{settings.PORT}"
# Used by the process `api` only; the asynchronous `web` has no use for them.
threads = settings.WEB_THREADS if os.environ.get("CLAUDEAPP_SERVES") == "api" else 1
loglevel = settings.LOG_LEVEL.lower()
logconfig_dict = settings.LOGGING
control_socket_disable = True
# Django has nothing to do when the server starts or stops.
asgi_lifespan = "off"
# Bytes: the longest message has less, and each is unmasked byte by byte in the loop that serves all.
websocket_max_message_size = 2 * 1024 * 1024
# Seconds: a page answers in far less, and what waits longer is asynchronous.
timeout = 60
graceful_timeout = 10
# Objects made and not yet freed, for which it is worth to look for garbage: some hundred requests at once make fewer.
GARBAGE_AFTER = 10_000


def when_ready(server: Any) -> None:
    """The sockets listen, and no worker has accepted anything yet."""
    for listener in server.LISTENERS:
        limit_unread(listener.sock, settings.CLIENT_PATIENCE)


def post_worker_init(_worker: Any) -> None:
    """Before a worker serves, it reads what its first request would otherwise take seconds for."""
    # They need Django set up, as it is here for the first time.
    importlib.import_module(settings.ROOT_URLCONF)
    if os.environ.get("CLAUDEAPP_SERVES") == "api":
        importlib.import_module("core.claude.client").preload()
    _spare_what_stays()


def _spare_what_stays() -> None:
    """Look for garbage in what requests make only, and more rarely: looking through all took a fifth of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
