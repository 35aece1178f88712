"""`python -m tests.bench spend --records 200000`: one benchmark, its figures as a table and under results/.

`python -m tests.bench all` is `make bench`: every part in its full size, each in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.parts import FULL, PARTS, Part, as_bench
from tests.postgres import Cluster

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = _parser().parse_args()
    sys.exit(_all() if arguments.benchmark == "all" else _one(PARTS[arguments.benchmark], arguments))


def _all() -> int:
    """Run every part, also after one that missed its bound or broke; 1 where any did."""
    missed = []
    for number, line in enumerate(FULL, start=1):
        print(f"\n== {number} of {len(FULL)}: {' '.join(line)}", flush=True)  # noqa: T201 - this is a program
        if subprocess.run([sys.executable, "-m", "tests.bench", *line], check=False).returncode:
            missed.append(" ".join(line))
    print(f"\nOutside their bounds, or broken: {'; '.join(missed)}" if missed else "\nAll within their bounds.")  # noqa: T201
    return 1 if missed else 0


def _one(part: Part, arguments: argparse.Namespace) -> int:
    with _database(arguments.database, durable=part.durable) if part.database else _nothing() as address:
        if part.database:
            _set_up(address)
        # Only now may anything of Django's be read.
        bench = as_bench(importlib.import_module(part.module))
        began = time.monotonic()
        figures = bench.run(arguments)
        figures["machine"] = _machine(with_database=part.database)
        figures["seconds"] = round(time.monotonic() - began)
    path = RESULTS / f"{_name(part, arguments)}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    holds = bench.holds(figures)
    print(bench.as_table(figures))  # noqa: T201
    print(f"\n{'Within' if holds else 'OUTSIDE'} the bounds. Kept in {path.relative_to(Path.cwd())}")  # noqa: T201
    return 0 if holds else 1


def _name(part: Part, arguments: argparse.Namespace) -> str:
    database = [arguments.database] if part.database else []
    return "-".join([arguments.benchmark, *database, *(str(getattr(arguments, name)) for name in part.named_by)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    commands = parser.add_subparsers(dest="benchmark", required=True)
    commands.add_parser("all", help="every part in its full size, as `make bench`")
    for name, part in PARTS.items():
        command = commands.add_parser(name, help=part.help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        if part.database:
            command.add_argument("--database", choices=["postgres", "sqlite"], default="postgres", help="on which")
        for option, (default, said) in part.numbers.items():
            command.add_argument(f"--{option}", type=int, default=default, help=said)
    return parser


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


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


def _machine(*, with_database: bool) -> dict[str, Any]:
    return {
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        **({"database": _database_version()} if with_database else {}),
    }


def _database_version() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = str(cursor.fetchone()[0]).split(" on ")[0]
    return version if connection.vendor == "postgresql" else f"SQLite {version}"


if __name__ == "__main__":
    main()
