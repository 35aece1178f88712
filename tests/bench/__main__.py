"""`python -m tests.bench spend --records 200000`: one benchmark, its figures as a table and under results/."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.postgres import Cluster

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = _parser().parse_args()
    # How many settlements there are in a second depends on how long a commit takes; loading millions would only wait.
    durable = arguments.benchmark == "budgets"
    with _database(arguments.database, durable=durable) as address:
        _set_up(address)
        # Only now may anything of Django's be read.
        from tests.bench import budgets, spend

        began = time.monotonic()
        if arguments.benchmark == "spend":
            bench: Any = spend
            figures = spend.run(arguments.records, arguments.small, arguments.csv)
        else:
            bench = budgets
            figures = budgets.run()
        figures["machine"] = _machine()
        figures["seconds"] = round(time.monotonic() - began)
    RESULTS.mkdir(exist_ok=True)
    size = f"-{arguments.records}" if arguments.benchmark == "spend" else ""
    path = RESULTS / f"{arguments.benchmark}-{arguments.database}{size}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(bench.as_table(figures))  # noqa: T201 - this is a program
    print(f"\nKept in {path.relative_to(Path.cwd())}")  # noqa: T201
    sys.exit(0 if bench.holds(figures) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("benchmark", choices=["spend", "budgets"])
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--records", type=int, default=200_000, help="cost records at full size")
    parser.add_argument("--small", type=int, default=100_000, help="cost records that the full size is compared with")
    parser.add_argument("--csv", type=int, default=1_000_000, help="records of the CSV, at most those there are")
    return parser


@contextmanager
def _database(kind: str, *, durable: bool) -> Iterator[str]:
    """A fresh database of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="claudeapp-bench-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/bench.sqlite3"
            return
        cluster = Cluster(folder / "postgres", durable=durable)
        cluster.start()
        try:
            yield cluster.url
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set_up(address: str) -> None:
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "claudeapp.settings",
            "DEBUG": "false",
            "SECRET_KEY": "only-for-benchmarks",
            "ALLOWED_HOSTS": "testserver",
            "HTTPS_ONLY": "false",
            "ANTHROPIC_API_KEY": "none",
            "DATABASE_URL": address,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "TIME_ZONE": "UTC",
            "LOG_LEVEL": "ERROR",
            "SENTRY_DSN": "",
        }
    )
    import django
    from django.conf import settings
    from django.core.management import call_command

    # Static files need not have been collected.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]
    django.setup()
    call_command("migrate", verbosity=0)


def _machine() -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = str(cursor.fetchone()[0]).split(" on ")[0]
    return {
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "database": version if connection.vendor == "postgresql" else f"SQLite {version}",
    }


if __name__ == "__main__":
    main()
