from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

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
        ("PORT", "http"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("CALL_TIMEOUT", "0"),
        ("CALL_TIMEOUT", "1.5"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "postgres://user:hidden@localhost:port/x"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://localhost:x"),
        ("ANTHROPIC_BASE_URL", "api.anthropic.com"),
        ("CSRF_TRUSTED_ORIGINS", "claude.example.org"),
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


def test_a_trial_needs_no_setting_but_debug() -> None:
    done = start(DEBUG="true", SECRET_KEY="", ALLOWED_HOSTS="", ANTHROPIC_API_KEY="")

    assert done.returncode == 0, done.stderr


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
