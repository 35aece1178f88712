from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.environment import free_port

# What production needs, with nothing real in it.
PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "an-example-of-sixty-characters-that-is-long-enough-for-a-check",
    "ALLOWED_HOSTS": "claude.example.org",
    "ANTHROPIC_API_KEY": "example",
}


def start(**changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **PRODUCTION, **changes}
    return subprocess.run(
        [sys.executable, "-c", "import claudeapp.settings"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_starts_with_what_it_needs() -> None:
    done = start()

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("ALLOWED_HOSTS", ""),
        ("ANTHROPIC_API_KEY", ""),
        ("DEBUG", "perhaps"),
        ("ALLOWED_HOSTS", "https://claude.example.org/"),
        ("ALLOWED_HOSTS", "claude.example.org:8000"),
        ("HOST", "999.1.1.1"),
        ("WEB_THREADS", "many"),
        ("CALL_LEASE", "0"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("CALL_TIMEOUT", "0"),
        ("CALL_TIMEOUT", "1.5"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "postgres://user:hidden@localhost:port/x"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "sqlite:////nonexistent/folder/claudeapp.sqlite3"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://localhost:x"),
        ("ANTHROPIC_BASE_URL", "api.anthropic.com"),
        ("CSRF_TRUSTED_ORIGINS", "claude.example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://"),
        ("TIME_ZONE", "Middle/Earth"),
        ("TIME_ZONE", "../etc"),
        ("RECONCILE_TOLERANCE_USD", "a cent"),
        ("RECONCILE_TOLERANCE_USD", "-0.01"),
        ("RECONCILE_TOLERANCE_USD", "NaN"),
        ("SENTRY_DSN", "https://key@sentry.example.org/1"),
    ],
)
def test_a_missing_or_senseless_setting_is_named_in_one_line(name: str, value: str) -> None:
    done = start(**{name: value})

    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"claudeapp: {name} ")
    assert "hidden" not in done.stderr


def test_two_servers_do_not_share_a_port() -> None:
    done = start(DEBUG="true", ANTHROPIC_API_KEY="", PORT="8000", SIMULATOR_PORT="8000")

    assert done.stderr.strip() == "claudeapp: SIMULATOR_PORT must differ from PORT, which is 8000 too."


def test_a_trial_needs_no_setting_but_debug() -> None:
    done = start(DEBUG="true", SECRET_KEY="", ALLOWED_HOSTS="", ANTHROPIC_API_KEY="")

    assert done.returncode == 0, done.stderr


def test_sentry_is_told_to_ask_us_what_may_be_sent(tmp_path: Path) -> None:
    (tmp_path / "sentry_sdk.py").write_text("def init(**options): print(options['before_send'].__name__)")
    done = start(SENTRY_DSN="https://key@sentry.example.org/1", PYTHONPATH=str(tmp_path))
    assert done.stdout.strip() == "discreet", done.stderr


def test_neither_pages_nor_commands_import_the_sdk() -> None:
    """It takes more than a second and 50 MB; only what calls Claude needs it."""
    code = (
        "import django, sys; django.setup();"
        "from django.urls import get_resolver; get_resolver().url_patterns;"
        "from django.contrib import admin; admin.autodiscover();"
        "import core.jobs.dispatch;"
        "sys.exit('anthropic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://127.0.0.1:9/0"),
        ("DATABASE_URL", "postgres://user:hidden@127.0.0.1:9/claudeapp"),
    ],
)
def test_a_server_that_is_not_there_is_named_before_anything_starts(name: str, value: str) -> None:
    ports = {"PORT": str(free_port()), "SIMULATOR_PORT": str(free_port()), "ANTHROPIC_BASE_URL": ""}
    environment = {**os.environ, **ports, name: value}

    done = subprocess.run(
        [sys.executable, "manage.py", "run"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"claudeapp: {name} names a ")
    assert "hidden" not in done.stderr


def test_gunicorn_names_the_setting_of_a_busy_port() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        gunicorn = Path(sys.executable).with_name("gunicorn")
        done = subprocess.run(
            [gunicorn, "claudeapp.asgi:application", "--config", "claudeapp/gunicorn.py", "--worker-class", "asgi"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(f"claudeapp: PORT names port {port}, which is in use.")
