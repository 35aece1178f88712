"""How long does a page of a run take while it is being worked on? `python -m tests.bench.watching_pages USER RUN`.

It asks for the run's page, what changes on it, and the list, until it is told to stop, and prints what 95 of 100 took.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

# Seconds between two requests.
PAUSE = 0.2


def main(user_id: str, run_id: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")
    import django
    from django.conf import settings

    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]
    django.setup()
    from django.test import Client

    from core.models import User

    browser = Client()
    browser.force_login(User.objects.get(pk=user_id))
    paths = (f"/bulk/{run_id}/", f"/bulk/{run_id}/?part=run", "/bulk/")
    for path in paths:
        assert browser.get(path).status_code == 200, path
    print("ready", flush=True)  # noqa: T201 - whoever started it listens
    took: list[float] = []
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.monotonic()
        browser.get(paths[len(took) % len(paths)])
        took.append(time.monotonic() - began)
    took.sort()
    figures = {"pages": len(took), "page_ms": round(took[int(len(took) * 0.95)] * 1000) if took else 0}
    print(json.dumps(figures))  # noqa: T201 - whoever started it listens


if __name__ == "__main__":
    main(*sys.argv[1:])
